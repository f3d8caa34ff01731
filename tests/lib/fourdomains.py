# fourdomains.py - one server, four domains: PostgreSQL, MariaDB, OpenLDAP and a file, each with mailboxes of its own kind, people alike
# SPDX-License-Identifier: Apache-2.0
"""
    with FourDomains(people=USERS, aliases=ALIASES) as site:
        site.server                      Server of ekiden.py, running
        site.backends["ldap.test"]       pause(), resume(), kill(), start(); the file's domain has none

People are {local part: password} or {local part: (password, {field: value})} with the fields nologin and allow_nets; aliases are
{local part: [local part, ...]}, all of them the same in each domain.  All names of domains are equally long, so that answers can be
compared byte for byte.  The domains differ in how their users' mail lies: as lines end in a Maildir, in a Maildir that the mailbox
instance places, and (as root) in the homes of a system user of their own, who has a store worker of his own.
"""
import os
import shutil

import server_mariadb
import server_postgres
from ekiden import BUILD, Server, listener
from server_slapd import Slapd, entry
from sqlsite import Site

DOMAINS = {"post.test": "pgsql", "mari.test": "mysql", "ldap.test": "ldap", "file.test": "file"}
OWN_UID, OWN_GID = 70011, 80011
CONFIG = listener("smtp", plaintext_auth="yes", error_delay="0", hard_error_limit="1000") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
pgsql "postgres" {
@PGSQL@@SQL@@PATIENCE@
  home = "${mail}/%d/%n" }
mysql "maria" {
@MYSQL@@SQL@@PATIENCE@
  home = "${mail}/%d/%n" }
ldap "directory" { uris = "@URI@"
  base = "ou=people,dc=test"
  bind_dn = "@READER@"
  bind_password = "@READERS@"
  auth_bind = yes
  user_filter = "(&(objectClass=inetOrgPerson)(mail=:user))"
  user_attributes = "homeDirectory=home", "uidNumber=uid", "gidNumber=gid"
  password_attributes = "employeeType=nologin", "destinationIndicator=allow_nets"
  filter = "(&(objectClass=nisMailAlias)(cn=:address))"
  attributes = rfc822MailMember
@PATIENCE@ }
file "staff" { path = $users
  home = "${mail}/%d/%n" }
text "staff_aliases" { path = "${dir}/aliases" }
maildir "mail_postgres" { path = "%h/Maildir"
  line_end = crlf }
maildir "mail_maria" { path = "${mail}/%d/%n/Maildir" }
maildir "mail_directory" { path = "%h/Maildir" }
maildir "mail_staff" { path = "%h/Maildir" }
domain "post.test" { auth = postgres
  aliases = postgres
  mailboxes = mail_postgres }
domain "mari.test" { auth = maria
  aliases = maria
  mailboxes = mail_maria }
domain "ldap.test" { auth = directory
  aliases = directory
  mailboxes = mail_directory }
domain "file.test" { auth = staff
  aliases = staff_aliases
  mailboxes = mail_staff }
queue { backoff_min = 1s
  backoff_max = 2s }
"""
SQL = """  query = "SELECT goto FROM alias WHERE address = :address"
  password_query = "SELECT password, nologin, allow_nets FROM mailbox WHERE name = :user"
  user_query = "SELECT home FROM mailbox WHERE name = :user"
"""
MORE = "ALTER TABLE mailbox ADD COLUMN nologin VARCHAR(20); ALTER TABLE mailbox ADD COLUMN allow_nets VARCHAR(100);"


def missing():
    """A reason to skip, or None."""
    for kind in ("pgsql", "mysql", "ldap"):
        if not os.path.exists(f"{BUILD}/modules/{kind}/.libs/{kind}.so"):
            return f"module {kind} was not built"
    if not Slapd.program("slapd"):
        return "needs slapd"
    return server_postgres.missing() or server_mariadb.missing()


def sql_text(text, kind):
    """A value in a statement."""
    if text is None:
        return "NULL"
    return "'" + (text.replace("\\", "\\\\") if kind == "mysql" else text).replace("'", "''") + "'"


def dn_text(text):
    """A value in a distinguished name (RFC 4514)."""
    return "".join("\\" + c if c in '\\,+"<>;=#' else c for c in text)


class FourDomains:
    def __init__(self, people, aliases=None, more="", patience="  timeout = 2s\n  connect_timeout = 2s\n", start=True):
        self.people = {name: value if isinstance(value, tuple) else (value, {}) for name, value in people.items()}
        self.aliases, self.backends, self.sites = dict(aliases or {}), {}, []
        self.server = Server("", start=False)
        try:
            self.fill(more, patience)
            if start:
                self.server.start()
        except BaseException:
            self.close()
            raise

    def fill(self, more, patience):
        text = CONFIG.replace("@SQL@", SQL) + more
        for domain, kind in DOMAINS.items():
            if kind in ("pgsql", "mysql"):
                site = Site(kind)
                self.sites.append(site)
                site.sql(MORE + self.rows(domain, kind))
                self.backends[domain] = site.server
                text = text.replace(f"@{kind.upper()}@", site.settings("socket" if kind == "mysql" else "tcp"))
        os.makedirs(f"{self.server.dir}/slapd")
        slapd = Slapd(f"{self.server.dir}/slapd", "dc=test")
        slapd.load(self.ldif("ldap.test"))
        slapd.start()
        self.backends["ldap.test"] = slapd
        for name, value in (("URI", slapd.uri), ("READER", slapd.reader), ("READERS", slapd.password), ("PATIENCE", patience)):
            text = text.replace(f"@{name}@", value)
        self.write_file("file.test")
        self.server.write(text)

    def rows(self, domain, kind):
        out = ["BEGIN;"]
        for name, (password, fields) in self.people.items():
            values = (f"{name}@{domain}", "{PLAIN}" + password, fields.get("nologin"), fields.get("allow_nets"))
            out.append(f"INSERT INTO mailbox (name, password, nologin, allow_nets) VALUES ({', '.join(sql_text(v, kind) for v in values)});")
        for name, targets in self.aliases.items():
            out += [f"INSERT INTO alias VALUES ({sql_text(f'{name}@{domain}', kind)}, {sql_text(f'{target}@{domain}', kind)});" for target in targets]
        return "\n".join(out + ["COMMIT;"])

    def ldif(self, domain):
        own = os.geteuid() == 0
        text = entry("dc=test", "domain", dc="test") + entry("ou=people,dc=test", "organizationalUnit", ou="people")
        for name, (password, fields) in self.people.items():
            home = f"{self.server.dir}/homes/{name}" if own else f"{self.server.mail}/{domain}/{name}"
            values = {"uid": name, "cn": name, "sn": name, "mail": f"{name}@{domain}", "userPassword": password, "homeDirectory": home}
            if own:
                os.makedirs(home)
                os.chown(home, OWN_UID, OWN_GID)
                values.update(uidNumber=OWN_UID, gidNumber=OWN_GID)
            for field, attribute in (("nologin", "employeeType"), ("allow_nets", "destinationIndicator")):
                if field in fields:
                    values[attribute] = fields[field]
            text += entry(f"uid={dn_text(name)},ou=people,dc=test", "inetOrgPerson extensibleObject", **values)
        for name, targets in self.aliases.items():
            text += entry(f"cn={name}@{domain},ou=people,dc=test", "nisMailAlias", cn=f"{name}@{domain}",
                          rfc822MailMember=[f"{target}@{domain}" for target in targets])
        return text

    def write_file(self, domain):
        lines = []
        for name, (password, fields) in self.people.items():
            extra = " ".join(f"{key}={value}" for key, value in fields.items())
            lines.append(f"{name}@{domain}:{{PLAIN}}{password}" + (f"::::::{extra}" if extra else ""))
        with open(self.server.users, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        with open(f"{self.server.dir}/aliases", "w", encoding="utf-8") as f:
            f.writelines(f"{name}@{domain} {', '.join(f'{target}@{domain}' for target in targets)}\n" for name, targets in self.aliases.items())

    def maildir(self, address):
        name, _, domain = address.partition("@")
        if domain == "ldap.test" and os.geteuid() == 0:
            return f"{self.server.dir}/homes/{name}/Maildir"
        return self.server.maildir(address)

    def messages(self, address):
        """What lies in the inbox, bytes each, with line ends as they are everywhere but at post.test."""
        out = []
        for sub in ("new", "cur"):
            folder = f"{self.maildir(address)}/{sub}"
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                with open(f"{folder}/{name}", "rb") as f:
                    out.append(f.read().replace(b"\r\n", b"\n"))
        return out

    def close(self):
        if self.server.process and self.server.alive():
            self.server.stop()
        self.server.collect()
        for site in self.sites:
            site.close()
        if "ldap.test" in self.backends:
            self.backends["ldap.test"].stop()
        shutil.rmtree(f"{self.server.dir}/homes", ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
