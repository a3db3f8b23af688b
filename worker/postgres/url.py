"""Connection strings as libpq takes them: a URL, or `key=value` pairs. Nothing of a wrong one is ever quoted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from worker.errors import ConfigurationError

SCHEMES = ("postgresql://", "postgres://")
VARIABLE = "SEGMENTATION_DATABASE_URL"
FORM = "postgresql://user:password@host:5432/database?sslmode=verify-full"
_ENCODE = "percent-encode what has a meaning in a URL, in the user and the password: @ %40, / %2F, : %3A, % %25, # %23"
_PAIR = re.compile(r"\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?:\s+|$)")


def wrong(text: str) -> ConfigurationError:
    """The error for a connection string; `text` must hold no part of it that could be a password's."""
    return ConfigurationError(f"{VARIABLE}: {text}")


def parameters(text: str) -> dict[str, str]:
    """libpq's parameters that the string names; raises ConfigurationError. They are not checked here."""
    for scheme in SCHEMES:
        if text.startswith(scheme):
            return _of_url(text.removeprefix(scheme))
    if "://" in text or "=" not in text:
        raise wrong(f"must be a URL such as {FORM}")
    return _of_pairs(text)


def _of_url(rest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    credentials, at, after = rest.partition("@")
    if at and "/" not in credentials:  # as libpq looks for them: up to the first @, before any /
        user, colon, password = credentials.partition(":")
        found |= _filled({"user": _decoded(user), "password": _decoded(password) if colon else ""})
        rest = after
    authority = re.match(r"[^/?]*", rest)
    assert authority is not None  # matches the empty string
    path, _, query = rest[authority.end() :].partition("?")
    if "@" in authority.group() or "@" in path:
        raise wrong(f"has an @, or a / before one, that it can't hold there: {_ENCODE}")
    hosts, ports = zip(*map(_host, authority.group().split(",")), strict=True)
    found |= _filled({"host": ",".join(hosts), "dbname": _decoded(path.removeprefix("/"))})
    if any(ports):
        found["port"] = ",".join(ports)
    return found | dict(_of_query(query))


def _host(part: str) -> tuple[str, str]:
    """Host and port, either may be empty; an IPv6 address stands in brackets."""
    match = re.fullmatch(r"(?:\[([^\]]*)\]|([^\[\]:]*))(?::(\d*))?", part)
    if match is None:
        raise wrong(f"does not name its host as host:port or [IPv6 address]:port. {_ENCODE}")
    return _decoded(match[1] or match[2] or ""), match[3] or ""


def _of_query(query: str) -> Iterator[tuple[str, str]]:
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if not equals or not name or "=" in value:
            raise wrong("has a parameter after the ? that is not name=value; in a value, write = as %3D and & as %26")
        name, value = _decoded(name), _decoded(value)
        yield ("sslmode", "require") if (name, value) == ("ssl", "true") else (name, value)


def _decoded(text: str) -> str:
    """Without percent-encoding; unlike in a form, a + is a plus."""
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", text):
        raise wrong(f"has a % that two hexadecimal digits must follow. {_ENCODE}")
    try:
        return re.sub(rb"%(..)", lambda found: bytes.fromhex(found[1].decode()), text.encode()).decode()
    except UnicodeDecodeError:
        raise wrong("has percent-encoded bytes that are not UTF-8") from None


def _of_pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    place = 0
    text = text.strip()
    while place < len(text):
        match = _PAIR.match(text, place)
        if match is None:
            raise wrong(
                f"is neither a URL such as {FORM} nor name=value pairs, whose values stand in single quotes if they "
                "hold white space, with \\ before each ' and \\"
            )
        value = match[2][1:-1] if match[2].startswith("'") else match[2]
        found[match[1]] = re.sub(r"\\(.)", r"\1", value)
        place = match.end()
    return found


def _filled(found: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if value}
