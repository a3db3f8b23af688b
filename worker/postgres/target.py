"""Where to connect and how: the connection string, then the service file, then the PG… variables, as libpq has it."""

from __future__ import annotations

import configparser
import getpass
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from worker.postgres.url import parameters, wrong

VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "servicefile": "PGSERVICEFILE",
    "options": "PGOPTIONS",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "client_encoding": "PGCLIENTENCODING",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslcertmode": "PGSSLCERTMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslsni": "PGSSLSNI",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
}
"""The parameters that an environment variable gives when the connection string and the service do not."""
OTHERS = {
    "sslpassword",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslcompression",
    "gssdelegation",
    "replication",
    "sslkeylogfile",
    "scram_client_key",
    "scram_server_key",
}
"""The parameters that no environment variable gives."""
CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ("disable", "random"),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
}
POSSIBLE: dict[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer", "allow"),
    "gssdelegation": ("0",),
    "client_encoding": ("utf8", "utf-8", "unicode", "auto"),
    "require_auth": (),
    "requirepeer": (),
    "sslcrldir": (),
    "sslcertmode": ("allow",),
    "sslsni": ("1",),
    "sslcompression": ("0", "1"),
    "sslkeylogfile": (),
    "scram_client_key": (),
    "scram_server_key": (),
    "replication": ("false", "off", "no", "0"),
    "min_protocol_version": ("3.0",),
    "max_protocol_version": ("3.0", "3.2", "latest"),
}
"""libpq's parameters of which this driver can do no more than these values."""
PORT_DEFAULT = "5432"
CONNECT_SECONDS_MAX = 10.0
"""For one host, unless connect_timeout says otherwise."""
SOCKET_FOLDERS = ("/run/postgresql", "/tmp")
"""Where a server may listen when no host is named, before localhost."""


@dataclass(frozen=True, slots=True)
class Host:
    """One server: a name, an address, or the folder of a Unix socket."""

    host: str
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether it is reached by a Unix socket."""
        return self.host.startswith("/")

    def __str__(self) -> str:
        """As an error names it."""
        if self.is_socket:
            return f"{self.host.rstrip('/')}/.s.PGSQL.{self.port}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """All that a connection needs. Has no representation, as it holds the password."""

    hosts: tuple[Host, ...]
    database: str
    user: str
    parameters: Mapping[str, str]
    connect_seconds_max: float
    home: Path | None

    @property
    def address(self) -> str:
        """For people: all hosts and the database."""
        names = ",".join(map(str, self.hosts))
        return f"{names} (database {self.database})" if self.hosts[-1].is_socket else f"{names}/{self.database}"

    @property
    def session_attributes(self) -> str:
        """What the session must be: a value of target_session_attrs."""
        return self.parameters.get("target_session_attrs", "any")

    def in_order(self) -> list[Host]:
        """The hosts as they are to be tried now."""
        hosts = list(self.hosts)
        if self.parameters.get("load_balance_hosts") == "random":
            random.shuffle(hosts)
        return hosts


def target(text: str, environment: Mapping[str, str]) -> Target:
    """What the string means in this environment; raises ConfigurationError with a sentence for what can't be."""
    found = parameters(text)
    home = Path(environment["HOME"]) if environment.get("HOME") else None
    for name in found:
        if name not in VARIABLES and name not in OTHERS:
            raise wrong(
                f"has the parameter {name!r}, which PostgreSQL's clients do not know; a setting of the server's goes "
                f"into options, such as options=-c%20{name}%3Dvalue"
            )
    found = _of_service(found, environment, home) | found
    found = {name: environment[v] for name, v in VARIABLES.items() if environment.get(v)} | found
    found = {name: value for name, value in found.items() if value}
    _check(found)
    user = found.get("user") or _login()
    return Target(
        hosts=_hosts(found),
        database=found.get("dbname", user),
        user=user,
        parameters=MappingProxyType(found),
        connect_seconds_max=max(0.0, float(found.get("connect_timeout", 0))) or CONNECT_SECONDS_MAX,
        home=home,
    )


def _of_service(found: Mapping[str, str], environment: Mapping[str, str], home: Path | None) -> dict[str, str]:
    """What the service's section of the service file says; nothing where no service is named."""
    name = found.get("service") or environment.get("PGSERVICE")
    if not name:
        return {}
    named = found.get("servicefile") or environment.get("PGSERVICEFILE")
    path = Path(named) if named else home / ".pg_service.conf" if home else None
    folder = environment.get("PGSYSCONFDIR", "/etc/postgresql-common")
    for place in filter(None, (path, Path(folder) / "pg_service.conf")):
        parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=False)
        try:
            parser.read_string(place.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, configparser.Error):
            raise wrong(f"the service file {place} can't be read: it must hold [name] and name=value lines") from None
        if parser.has_section(name):
            return dict(parser[name])
    raise wrong(f"the service {name!r} is in no service file: {path or 'none is named'} (PGSERVICEFILE)")


def _check(found: Mapping[str, str]) -> None:
    for name, values in CHOICES.items():
        if name in found and found[name] not in values:
            raise wrong(f"{name} must be one of {', '.join(values)}")
    for name, values in POSSIBLE.items():
        if name in found and found[name].lower() not in values:
            possible = f"only as {' or '.join(values)}" if values else "leave it out"
            raise wrong(f"{name} can't be given by this worker, as its driver for PostgreSQL can't do it: {possible}")
    for name in ("connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"):
        if name in found and not re.fullmatch(r"-?\d{1,9}", found[name].strip()):
            raise wrong(f"{name} must be a whole number")
    if found.get("sslnegotiation") == "direct" and found.get("sslmode", "prefer") in CHOICES["sslmode"][:3]:
        raise wrong("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full")
    if found.get("sslrootcert") == "system" and found.get("sslmode", "verify-full") != "verify-full":
        raise wrong("sslrootcert=system needs sslmode=verify-full")


def _hosts(found: Mapping[str, str]) -> tuple[Host, ...]:
    names = found["host"].split(",") if "host" in found else []
    addresses = found["hostaddr"].split(",") if "hostaddr" in found else []
    if addresses and names and found.get("sslmode") == "verify-full":
        raise wrong("hostaddr can't be given beside host with sslmode=verify-full by this worker: leave hostaddr out")
    names = addresses or names or [*SOCKET_FOLDERS, "localhost"]
    ports = found.get("port", PORT_DEFAULT).split(",")
    ports = ports * len(names) if len(ports) == 1 else ports
    if len(ports) != len(names):
        raise wrong(f"names {len(names)} hosts and {len(ports)} ports: one port for all, or one for each")
    if any(port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536) for port in ports):
        raise wrong("has a port that is not a number from 1 to 65535")
    return tuple(Host(name or "localhost", int(port or PORT_DEFAULT)) for name, port in zip(names, ports, strict=True))


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise wrong("names no user, and this process's own has no name: write postgresql://user@…") from None
