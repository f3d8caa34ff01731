# dns.py - a DNS server with the zones of a test: Debian's unbound on a port of its own
# SPDX-License-Identifier: Apache-2.0
"""
    with Dns({"example.test": "@ MX 10 mx\nmx A 127.0.0.1\n"}, signed=["example.test"]) as dns:
        dns.port, dns.anchors (the DS lines' file), dns.set("example.test", "..."), dns.stop(), dns.start()

A zone's text is records without SOA and NS, which are added.  Names that no zone holds do not exist.
"""
import os
import shutil
import socket
import struct
import subprocess
import time

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing():
    """A reason to skip, or None."""
    return None if shutil.which("unbound", path=PATH) else "needs unbound"


class Dns:
    def __init__(self, zones, signed=(), folder=None, port=None):
        self.folder = folder or os.path.join(os.environ["EKIDEN_RUN"], "dns")
        os.makedirs(self.folder, exist_ok=True)
        self.zones, self.signed, self.serial = dict(zones), set(signed), 1
        self.port, self.process = port or free_udp_port(), None
        self.anchors = f"{self.folder}/anchors"
        for origin in self.zones:
            self._write(origin)
        self._write_anchors()
        self._write_config()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def set(self, origin, text):
        """Other records for a zone; the server starts anew with them."""
        self.zones[origin] = text
        self.serial += 1
        self._write(origin)
        self.stop()
        self.start()

    def _write(self, origin):
        path = f"{self.folder}/{origin}.zone"
        with open(path, "w", encoding="ascii") as f:
            f.write(f"$ORIGIN {origin}.\n$TTL 60\n@ SOA ns hostmaster {self.serial} 3600 600 86400 5\n@ NS ns\n"
                    f"ns A 127.0.0.1\n{self.zones[origin]}\n")
        if origin in self.signed:
            self._sign(origin, path)

    def _sign(self, origin, path):
        keys = [n for n in os.listdir(self.folder) if n.startswith(f"K{origin}.+") and n.endswith(".private")]
        if not keys:
            subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "-r", "/dev/urandom", f"{origin}."],
                           cwd=self.folder, check=True, stdout=subprocess.DEVNULL, env={"PATH": PATH})
            keys = [n for n in os.listdir(self.folder) if n.startswith(f"K{origin}.+") and n.endswith(".private")]
        subprocess.run(["ldns-signzone", "-f", path + ".signed", path, keys[0].removesuffix(".private")],
                       cwd=self.folder, check=True, env={"PATH": PATH})
        os.replace(path + ".signed", path)

    def _write_anchors(self):
        with open(self.anchors, "w", encoding="ascii") as out:
            for name in sorted(os.listdir(self.folder)):
                if name.startswith("K") and name.endswith(".ds"):
                    with open(os.path.join(self.folder, name), encoding="ascii") as f:
                        out.write(f.read())

    def _write_config(self):
        with open(f"{self.folder}/unbound.conf", "w", encoding="ascii") as f:
            f.write(f'server:\n interface: 127.0.0.1@{self.port}\n port: {self.port}\n do-daemonize: no\n'
                    f' chroot: ""\n username: ""\n directory: "{self.folder}"\n pidfile: ""\n use-syslog: no\n'
                    f' logfile: "{self.folder}/log"\n access-control: 127.0.0.0/8 allow\n module-config: "iterator"\n'
                    ' num-threads: 1\n do-ip6: no\n verbosity: 1\n local-zone: "test." nodefault\n'
                    ' local-zone: "invalid." nodefault\n do-not-query-localhost: no\n'
                    'remote-control:\n control-enable: no\n'
                    # what no zone holds does not exist, and no question leaves the machine
                    'forward-zone:\n name: "."\n forward-addr: 127.0.0.1@1\n')
            for origin in self.zones:
                f.write(f'auth-zone:\n name: "{origin}."\n zonefile: "{origin}.zone"\n for-downstream: yes\n'
                        ' for-upstream: yes\n')
            if "." not in self.zones:
                with open(f"{self.folder}/root.zone", "w", encoding="ascii") as root:
                    root.write("$ORIGIN .\n$TTL 60\n@ SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 5\n@ NS ns.invalid.\n")
                    for origin in self.zones:
                        root.write(f"{origin}. NS ns.{origin}.\n")
                f.write('auth-zone:\n name: "."\n zonefile: "root.zone"\n for-downstream: yes\n for-upstream: yes\n')

    def start(self):
        self.process = subprocess.Popen(["unbound", "-d", "-c", f"{self.folder}/unbound.conf"], env={"PATH": PATH},
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as f:
                    raise RuntimeError("unbound does not run: " + f.read()[-2000:])
            time.sleep(0.02)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    def _answers(self):
        name = b"".join(bytes([len(p)]) + p.encode() for p in next(iter(self.zones), "invalid").split(".")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.3)
            try:
                sock.sendto(struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + name + b"\0\6\0\1", ("127.0.0.1", self.port))
                return len(sock.recv(512)) > 12
            except OSError:
                return False


def free_udp_port():
    """A port that is free for UDP and TCP."""
    for _ in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port = udp.getsockname()[1]
            try:
                tcp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")
