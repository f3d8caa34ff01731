# badnames.py - names that mean harm: with SQL or LDAP in them, that only look like somebody's, that no text can hold
# SPDX-License-Identifier: Apache-2.0
"""Parts before the @, for a domain in which anna is a user (and nobody's name is any of these)."""

SQL = ["' OR '1'='1", "' OR 1=1 -- ", "x'; DROP TABLE mailbox; --", "anna' UNION SELECT '{PLAIN}pa", "\\", "\\' OR 1=1 #", "$1", "?", ":user",
       "%", "_nna", "a%", "*", "anna\t", "${user}", "NULL", "0"]
LDAP = ["a*", "anna*", "*)(uid=*", "anna)(mail=*", "anna))(|(mail=*", "\\2a", "anna\\", "(anna)", "anna,ou=people", "ann+cn=x", "anna#", "&", "|",
        "x)(&", "\"", "anna  x", " anna", "anna ", "x" * 300]
# most of them Cyrillic; the last ones are full-width, and longer than any column
LOOK_ALIKE = ["аnna", "änna", "annа", "ànnà", "аnnа", "anna\u200b", "ａnna", "А" * 20]
BYTES = [b"anna\0", b"an\0na", b"\0", b"\xff\xfe", b"anna\xc3", b"x" * 65536, b"anna" + b" " * 65536]


def quoted(local):
    """As a quoted local part (RFC 5321)."""
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
