# server_slapd.py - an LDAP server (OpenLDAP's slapd) in a folder of its own, on loopback ports and a socket
# SPDX-License-Identifier: Apache-2.0
"""
    slapd = Slapd(folder, "dc=example", schema=AD_SCHEMA)        writes nothing yet; slapd.port, slapd.ldapi are known
    slapd.load(ldif)                                             the data, by slapadd, while it does not run
    slapd.start(certificate=(chain, key), ca=path)
    slapd.values("(mail=anna@example.test)", "userPassword")
    slapd.pause(); slapd.resume(); slapd.kill(); slapd.stop()
    Slapd(folder, "dc=example", copy_of=slapd, refers=[slapd.uri])   follows the other one (copied=True), and refers who would write to these

Everybody may read all but userPassword; `reader` (with `password`) may read that too.
More than 700 entries are given only in pages.  The system's own server is never touched.
"""
import base64
import os
import shutil
import signal
import socket
import subprocess

from ekiden import free_ports, wait_for

SCHEMAS = "/etc/ldap/schema"
# an anonymous simple bind (RFC 4511): message 1, version 3, no name, no password
BIND = bytes.fromhex("300c020101600702010304008000")

# what Active Directory's users have and inetOrgPerson has not; the numbers are those of its schema
AD_SCHEMA = """
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.2.840.113556.1.4.782 NAME 'objectCategory' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP inetOrgPerson STRUCTURAL
  MAY ( userPrincipalName $ sAMAccountName $ userAccountControl $ proxyAddresses $ objectCategory ) )
"""


def entry(dn, classes, **values):
    """One entry as LDIF.  A value may be a list of them."""
    lines = [f"dn: {dn}"] + [f"objectClass: {c}" for c in classes.split()]
    for name, value in values.items():
        lines += [f"{name}: {v}" for v in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n\n"


class Slapd:
    password = "reader's own"

    def __init__(self, folder, suffix, schema="", copied=False, copy_of=None, refers=()):
        self.dir, self.suffix, self.schema, self.process = folder, suffix, schema, None
        self.copied, self.copy_of, self.refers = copied, copy_of, refers
        self.reader = f"cn=reader,{suffix}"
        self.port, self.tls_port = free_ports(2)
        self.secure = False
        self.socket = f"{folder}/ldapi"
        self.ldapi = "ldapi://" + self.socket.replace("/", "%2F")
        self.uri, self.ldaps = f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{self.tls_port}"

    @staticmethod
    def program(name):
        return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")

    def configure(self, certificate=None, ca=None):
        os.makedirs(f"{self.dir}/db", exist_ok=True)
        self.secure = certificate is not None
        lines = [f"include {SCHEMAS}/{name}.schema" for name in ("core", "cosine", "nis", "inetorgperson", "misc")]
        with open(f"{self.dir}/own.schema", "w", encoding="utf-8") as f:
            f.write(self.schema)
        lines += [f"include {self.dir}/own.schema", f"pidfile {self.dir}/pid", f"argsfile {self.dir}/args", "threads 4"]
        if certificate:
            lines += [f"TLSCertificateFile {certificate[0]}", f"TLSCertificateKeyFile {certificate[1]}", f"TLSCACertificateFile {ca}"]
        lines += ["modulepath /usr/lib/ldap", "moduleload back_mdb.la", "sizelimit size.soft=700 size.hard=700 size.prtotal=unlimited", "database mdb", f'suffix "{self.suffix}"',
                  f'rootdn "{self.reader}"', f'rootpw "{self.password}"', f"directory {self.dir}/db", "maxsize 67108864", "dbnosync",
                  "index objectClass,uid,mail eq", "access to attrs=userPassword by anonymous auth by * none", "access to * by * read"]
        lines += self.replication()
        with open(f"{self.dir}/slapd.conf", "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")

    def replication(self):
        if self.copied:
            return ["moduleload syncprov.la", "overlay syncprov"]
        if not self.copy_of:
            return []
        other = self.copy_of
        return [f'syncrepl rid=1 provider={other.uri} type=refreshAndPersist retry="1 +" searchbase="{other.suffix}" bindmethod=simple '
                f'binddn="{other.reader}" credentials="{other.password}"'] + [f"updateref {uri}" for uri in self.refers]

    def load(self, ldif):
        self.configure()
        done = subprocess.run([self.program("slapadd"), "-q", "-f", f"{self.dir}/slapd.conf"], input=ldif.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise RuntimeError(f"slapadd: {done.stdout.decode(errors='replace')}")

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
                sock.sendall(BIND)
                return len(sock.recv(64)) > 7
        except OSError:
            return False

    def start(self, certificate=None, ca=None):
        if certificate or not os.path.exists(f"{self.dir}/slapd.conf"):
            self.configure(certificate, ca)
        secure = f" {self.ldaps}/" if self.secure else ""
        with open(f"{self.dir}/log", "ab") as log:
            self.process = subprocess.Popen([self.program("slapd"), "-d", "0", "-f", f"{self.dir}/slapd.conf",
                                             "-h", f"{self.uri}/ {self.ldapi}/????x-mod=0777{secure}"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if not wait_for(lambda: self.process.poll() is not None or self.answers(), 60) or self.process.poll() is not None:
            with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as f:
                raise RuntimeError(f"slapd does not start: {f.read()[-2000:]}")

    def values(self, entries, attribute):
        """Those of the entries that a filter finds, as they lie in the database, passwords too."""
        done = subprocess.run([self.program("slapcat"), "-f", f"{self.dir}/slapd.conf", "-a", entries, "-o", "ldif-wrap=no"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=True)
        found = []
        for line in done.stdout.decode().splitlines():
            name, _, value = line.partition(":")
            if name.lower() == attribute.lower():
                found.append(base64.b64decode(value[2:]).decode() if value.startswith(":") else value.strip())
        return found

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
