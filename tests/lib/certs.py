# certs.py - a small certificate authority for tests, by openssl
# SPDX-License-Identifier: Apache-2.0
import os
import ssl
import subprocess


def _openssl(*args, stdin=None):
    done = subprocess.run(["openssl", *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(args)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Authority:
    """Keeps ca.pem in `folder` and signs certificates; clients trust `cafile`."""

    def __init__(self, folder):
        self.folder, self.cafile, self.made = folder, f"{folder}/ca.pem", 0
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-subj", "/CN=Ekiden test authority", "-keyout", f"{folder}/ca.key", "-out", self.cafile)

    def issue(self, *names, days=30, rsa=False):
        """(certificate, key): paths of a new pair for these names (or addresses, of hosts or of mail), the CA's certificate behind it."""
        self.made += 1
        base = f"{self.folder}/{names[0].replace('*', '_')}-{self.made}"
        key = ["-newkey", "rsa:2048"] if rsa else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        request = _openssl("req", "-new", *key, "-nodes", "-subj", f"/CN={names[0]}", "-keyout", f"{base}.key")
        kinds = [("email:" if "@" in name else "IP:" if name.replace(".", "").isdigit() or ":" in name else "DNS:") + name for name in names]
        with open(f"{base}.ext", "w", encoding="ascii") as f:
            f.write("subjectAltName=" + ",".join(kinds) + "\nextendedKeyUsage=serverAuth,clientAuth\n")
        leaf = _openssl("x509", "-req", "-CA", self.cafile, "-CAkey", f"{self.folder}/ca.key", "-CAcreateserial",
                        "-days", str(days), "-extfile", f"{base}.ext", stdin=request)
        with open(self.cafile, "rb") as f:
            chain = leaf + f.read()
        with open(f"{base}.pem", "wb") as f:
            f.write(chain)
        os.chmod(f"{base}.key", 0o600)
        return f"{base}.pem", f"{base}.key"

    def client(self, verify=True, **settings):
        """An SSL context that trusts this authority; `settings` are attributes of it."""
        context = ssl.create_default_context(cafile=self.cafile)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        for name, value in settings.items():
            setattr(context, name, value)
        return context

    def server(self, *names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names))
        return context
