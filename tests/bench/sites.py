# sites.py - the backends that tests/bench/backends measures: servers of their own, filled, and the blocks that ask them
# SPDX-License-Identifier: Apache-2.0
"""
    with Sites(folder, build) as sites:
        sites.logins()        [(domain, blocks)]: each has user1 ... userN with the password "pass"
        sites.maps()          (blocks, [Map]): each answers for its keys
        sites.tokens          a file of bearer tokens, one for each user of oauth.test

The servers' processes are children of this one: their CPU is no contender's.  What is not built or not installed is left out.
"""
import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

USERS, ROWS, RULES, SECRET = 100, 10000, 100, "0123456789abcdef0123456789abcdef"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")


class Map:
    def __init__(self, name, key, rows, count, cached=False, peer=None):
        self.name, self.key, self.rows, self.count, self.cached, self.peer = name, key, rows, count, cached, peer


def scram(digest, password="pass", rounds=4096):
    """What a server keeps: the same for all, so that a client that keeps its hash computes one."""
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), SALT, rounds)
    stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
    parts = (SALT, stored, hmac.digest(salted, b"Server Key", digest))
    return f"{{SCRAM-SHA-{digest.removeprefix('sha')}}}{rounds}," + ",".join(base64.b64encode(p).decode() for p in parts)


class Answers(socketserver.StreamRequestHandler):
    """tcp_table and socketmap, told apart by the first byte."""

    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (first := self.rfile.read(1)):
            if first.isdigit():
                while not (first := first + self.rfile.read(1)).endswith(b":"):
                    pass
                text = self.rfile.read(int(first[:-1]) + 1)[:-1].split(b" ", 1)[1]
                answer = b"OK " + text.replace(b"alias", b"user")
                self.wfile.write(b"%d:%s," % (len(answer), answer))
            else:
                self.wfile.write(b"200 " + self.rfile.readline().rstrip()[3:].replace(b"alias", b"user") + b"\n")


class Both(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address = True, True


class Sites:
    def __init__(self, folder, build, only=None):
        self.folder, self.build, self.only, self.closing, self.child = folder, os.path.abspath(build), only, [], None
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        os.environ.update(EKIDEN_BUILD=self.build, EKIDEN_RUN=folder, EKIDEN_TOP=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
        self.mail = '"$mail/%d/%n"'
        self.tokens = f"{folder}/tokens"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for close in reversed(self.closing):
            close()
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wants(self, name):
        return not self.only or name in self.only

    def has(self, module):
        return os.path.exists(f"{self.build}/modules/{module}/.libs/{module}.so")

    def file(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    # ---- logins ----

    def passwd(self, name, stored):
        """A passwd-file of the users of a domain."""
        path = self.file(f"{name}.users", "".join(f"user{i}@{name}.test:{stored}\n" for i in range(1, USERS + 1)))
        return f'file "{name}" {{ path = "{path}"\n  home = {self.mail} }}\n'

    def logins(self):
        """(name of domain and block, blocks), each with its users."""
        makers = (("file", self.login_file), ("sqlite", self.login_sql), ("pgsql", self.login_sql), ("mysql", self.login_sql),
                  ("ldap", self.login_ldap), ("http", self.login_http), ("pam", self.login_pam), ("lua", self.login_lua), ("oauth", self.login_oauth))
        found = []
        for name, make in makers:
            module = "sasl_oauth" if name == "oauth" else name
            if self.wants(name) and self.has(module):
                found += make(name) or []
        return found

    def login_file(self, name):
        return [(name, self.passwd(name, "{PLAIN}pass")), ("scram1", self.passwd("scram1", scram("sha1"))),
                ("scram256", self.passwd("scram256", scram("sha256")))]

    def sql_site(self, kind):
        import sqlsite                                   # pylint: disable=import-outside-toplevel
        if kind in sqlsite.SERVERS and sqlsite.SERVERS[kind].missing():
            return None
        site = sqlsite.Site(kind)
        self.closing.append(site.close)
        return site

    def login_sql(self, name):
        site = self.sql_site(name)
        if site is None:
            return None
        rows = ",\n".join(f"('user{i}@{name}.test', '{{PLAIN}}pass')" for i in range(1, USERS + 1))
        site.sql(f"INSERT INTO mailbox (name, password) VALUES {rows};")
        return [(name, f'{name} "{name}" {{\n{site.settings()}  password_query = "SELECT password FROM mailbox WHERE name = :user"\n'
                       f'  user_query = "SELECT home FROM mailbox WHERE name = :user"\n  home = {self.mail} }}\n')]

    def slapd(self, ldif):
        from server_slapd import Slapd                   # pylint: disable=import-outside-toplevel
        if not Slapd.program("slapd"):
            return None
        os.makedirs(f"{self.folder}/ldap", exist_ok=True)
        slapd = Slapd(f"{self.folder}/ldap", "dc=example")
        slapd.load("dn: dc=example\nobjectClass: domain\ndc: example\n\n" + ldif)
        slapd.start()
        self.closing.append(slapd.stop)
        return slapd

    def login_ldap(self, _name):
        slapd = self.slapd("".join(f"dn: uid=user{i}-{d},dc=example\nobjectClass: inetOrgPerson\nuid: user{i}-{d}\ncn: x\nsn: x\nmail: user{i}@{d}.test\n"
                                   "userPassword: pass\n\n" for d in ("ldap", "ldapbind") for i in range(1, USERS + 1)))
        if slapd is None:
            return None
        common = f'  uris = "{slapd.uri}"\n  base = "dc=example"\n  user_filter = "(mail=:user)"\n  home = {self.mail}\n'
        reader = f'  bind_dn = "{slapd.reader}"\n  bind_password = "{slapd.password}"\n'
        return [("ldap", f'ldap "ldap" {{\n{common}{reader} }}\n'),
                ("ldapbind", f'ldap "ldapbind" {{\n{common}  auth_bind = yes\n  password_attributes = [] }}\n')]

    def login_http(self, name):
        from server_json import JsonServer               # pylint: disable=import-outside-toplevel
        api = JsonServer(f"{self.folder}/http")
        self.closing.append(api.stop)
        api.answers.update({f"/users/user{i}%40{name}.test": (200, {"password": "{PLAIN}pass"}) for i in range(1, USERS + 1)})
        api.set("/", None, 404)
        url = f'"http://127.0.0.1:{api.port}/users/:user"'
        return [(name, f'http "{name}" {{\n  password_url = {url}\n  user_url = {url}\n  home = {self.mail} }}\n')]

    def login_pam(self, name):
        """Linux-PAM's own pam_permit: what asking costs, without what a module costs."""
        os.makedirs(f"{self.folder}/pam.d", exist_ok=True)
        self.file("pam.d/bench", "auth required pam_permit.so\naccount required pam_permit.so\n")
        return [(name, f'pam "{name}" {{ service = bench\n  config_dir = "{self.folder}/pam.d" }}\n'
                       f'static "{name}-users" {{ home = {self.mail} }}\n')]

    def login_lua(self, name):
        """A script that gives what a table in it has, and has the core compare."""
        script = self.file("users.lua", "local t = {}\n" f'for i = 1, {USERS} do t["user" .. i .. "@{name}.test"] = "{{PLAIN}}pass" end\n'
                           "return { passdb_lookup = function (self, name) return t[name] end }\n")
        return [(name, f'lua "{name}" {{ script = read("{script}") }}\nstatic "{name}-users" {{ home = {self.mail} }}\n')]

    def login_oauth(self, name):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")
        lines = []
        for i in range(1, USERS + 1):
            claims = {"iss": "https://idp.test", "aud": "mail", "scope": "imap", "email": f"user{i}@{name}.test", "exp": int(time.time()) + 7200}
            text = part(b'{"alg":"HS256"}') + b"." + part(json.dumps(claims).encode())
            lines.append((text + b"." + part(hmac.digest(SECRET.encode(), text, "sha256"))).decode())
        self.file("tokens", "\n".join(lines) + "\n")
        keys = self.file("jwks.json", json.dumps({"keys": [{"kty": "oct", "k": part(SECRET.encode()).decode()}]}))
        return [(name, f'sasl_oauth "{name}" {{ keys = read("{keys}")\n  issuer = "https://idp.test"\n  audience = mail\n  scope = imap }}\n'
                       f'static "{name}-users" {{ home = {self.mail} }}\n')]

    # ---- maps ----

    def maps(self):
        """The text of a configuration with all of them, and what each is asked."""
        blocks, maps = self.maps_of_files()
        for make in (self.maps_of_sql, self.maps_of_ldap, self.maps_of_redis, self.maps_of_net, self.maps_of_http):
            more, found = make()
            blocks += more
            maps += found
        return blocks, [m for m in maps if self.wants(m.name.split("-")[0])]

    def asked(self, module, settings, key, rows, count, cached):
        """A block as it asks each time, and one whose answers are kept."""
        text = "".join(f'{module} "{module}{name}" {{\n{settings}  cache = {time_}\n  cache_negative = {time_} }}\n'
                       for name, time_ in (("", "0"), ("-cached", "1h")))
        return text, [Map(module, key, rows, count), Map(f"{module}-cached", key, rows, cached, cached=True)]

    def maps_of_files(self):
        key, many = "alias%u@example.test", 200000
        source = self.file("aliases", "".join(f"alias{i}@example.test user{i}@example.test\n" for i in range(ROWS)))
        cidr = self.file("nets.cidr", "".join(f"10.{i // 256}.{i % 256}.0/24 net{i}\n" for i in range(RULES)))
        rules = self.file("rules.regexp", "".join(f"/^alias{i}@(.*)$/ user{i}@$1\n" for i in range(RULES)))
        pairs = ", ".join(f'"alias{i}@example.test = user{i}@example.test"' for i in range(RULES))
        blocks = (f'text "text" {{ path = "{source}" }}\ncidr "cidr" {{ path = "{cidr}" }}\nregexp "regexp" {{ path = "{rules}" }}\n'
                  f'pcre "pcre" {{ path = "{rules}" }}\nstatic "static" {{ value = OK }}\ninline "inline" {{ pairs = [ {pairs} ] }}\n'
                  'chain "chain" { maps = inline, text }\n')
        maps = [Map("text", key, ROWS, many, peer=f"texthash:{source}"), Map("inline", key, RULES, many), Map("static", key, ROWS, many),
                Map("cidr", "10.0.%u.1", RULES, many, peer=f"cidr:{cidr}"), Map("regexp", key, RULES, many // 4, peer=f"regexp:{rules}"),
                Map("pcre", key, RULES, many // 2, peer=f"pcre:{rules}"), Map("chain", key, ROWS, many // 2)]
        if self.has("lua"):
            script = self.file("aliases.lua", 'local t = {}\nfor i = 0, %d do t["alias" .. i .. "@example.test"] = "user" .. i .. "@example.test" end\n'
                               "return { lookup = function (self, key) return t[key] end }\n" % (ROWS - 1))
            blocks += f'lua "lua" {{ script = read("{script}") }}\n'
            maps.append(Map("lua", key, ROWS, many // 2))
        for module in ("lmdb", "cdb"):
            if self.has(module):
                self.ekiden("map", "build", module, source)
                blocks += f'{module} "{module}" {{ path = "{source}.{module}" }}\n'
                maps.append(Map(module, key, ROWS, many, peer=f"{module}:{source}"))
        return blocks, maps

    def ekiden(self, *words):
        env = {**os.environ, "EKIDEN_MODULE_PATH": f"{self.build}/modules"}
        subprocess.run([f"{self.build}/ekiden", *words], env=env, check=True, timeout=600)

    def maps_of_sql(self):
        blocks, maps = "", []
        for kind in ("sqlite", "pgsql", "mysql"):
            site = self.sql_site(kind) if self.wants(kind) and self.has(kind) else None
            if site is None:
                continue
            rows = ",\n".join(f"('alias{i}@example.test', 'user{i}@example.test')" for i in range(ROWS))
            site.sql(f"CREATE INDEX alias_address ON alias (address);\nINSERT INTO alias (address, goto) VALUES {rows};\n")
            more, found = self.asked(kind, site.settings() + '  query = "SELECT goto FROM alias WHERE address = :address"\n', "alias%u@example.test",
                                     ROWS, 40000, 200000)
            blocks += more
            maps += found
        return blocks, maps

    def maps_of_ldap(self):
        slapd = self.slapd("".join(f"dn: uid=alias{i},dc=example\nobjectClass: inetOrgPerson\nuid: alias{i}\ncn: x\nsn: x\n"
                                   f"mail: alias{i}@example.test\ndescription: user{i}@example.test\n\n" for i in range(ROWS))) \
            if self.wants("ldap") and self.has("ldap") else None
        if slapd is None:
            return "", []
        return self.asked("ldap", f'  uris = "{slapd.uri}"\n  base = "dc=example"\n  filter = "(mail=:address)"\n  attributes = description\n',
                          "alias%u@example.test", ROWS, 20000, 200000)

    def maps_of_redis(self):
        from server_redis import PROGRAM, Redis          # pylint: disable=import-outside-toplevel
        if not (self.wants("redis") and self.has("redis") and os.path.exists(PROGRAM)):
            return "", []
        redis = Redis(f"{self.folder}/redis")
        self.closing.append(redis.stop)
        redis.cmd("MSET", *(word for i in range(ROWS) for word in (f"alias:alias{i}@example.test", f"user{i}@example.test")))
        return self.asked("redis", f'  server = "{redis.socket}"\n  command = GET, "alias::address"\n', "alias%u@example.test", ROWS, 40000, 200000)

    def maps_of_net(self):
        """One server for both protocols, in a process of its own."""
        if not (self.wants("tcp") or self.wants("socketmap")):
            return "", []
        server = Both(("127.0.0.1", 0), Answers)
        self.child = os.fork()
        if self.child == 0:
            server.serve_forever()
        port = server.server_address[1]
        server.server_close()
        blocks, maps = self.asked("tcp", f'  server = "127.0.0.1:{port}"\n', "alias%u@example.test", ROWS, 10000, 200000)
        more, found = self.asked("socketmap", f'  server = "inet:127.0.0.1:{port}:aliases"\n', "alias%u@example.test", ROWS, 10000, 200000)
        return blocks + more, maps + found

    def maps_of_http(self):
        if not (self.wants("http") and self.has("http")):
            return "", []
        from server_json import JsonServer               # pylint: disable=import-outside-toplevel
        api = JsonServer(f"{self.folder}/api")
        self.closing.append(api.stop)
        api.answers.update({f"/alias{i}%40example.test": (200, f"user{i}@example.test") for i in range(RULES)})
        api.set("/", None, 404)
        return self.asked("http", f'  url = "http://127.0.0.1:{api.port}/:address"\n', "alias%u@example.test", RULES, 2000, 200000)
