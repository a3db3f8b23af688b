"""What a setting's text must look like, where more than its type is asked for; no message repeats the text."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import isodate
from pydantic import AfterValidator, BeforeValidator, PlainSerializer

PATH_BYTES_MAX = 4_096
NAME_BYTES_MAX = 255
"""Of one part of a path; longer ones no file system takes."""
BASE64_CHARACTERS_MIN = 64
FOLDER_ID = re.compile(r"[A-Za-z0-9_-]{2,128}")
_CONTENT = re.compile(r"\s*[\[{]|.*-----BEGIN|.*[\x00-\x1f]", re.DOTALL)


def path(value: object) -> object:
    """A path. A key or a certificate itself in its place is refused: paths are logged and shown, keys must not be."""
    if not isinstance(value, str):
        return value
    if _is_content(value):
        raise ValueError(
            "must be the path of a file, but holds what looks like a file's content (not repeated here): write that "
            "into a file which only the worker can read, and name the file"
        )
    if len(value.encode(errors="replace")) > PATH_BYTES_MAX or any(
        len(part.encode(errors="replace")) > NAME_BYTES_MAX for part in value.split("/")
    ):
        raise ValueError("must be the path of a file, and is too long for one")
    return value


FilePath = Annotated[str, BeforeValidator(path)]


def _is_content(value: str) -> bool:
    """Whether it begins or is laid out as JSON or PEM, also behind Base64."""
    if _CONTENT.match(value):
        return True
    if len(value) < BASE64_CHARACTERS_MIN:
        return False
    try:
        decoded = base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return bool(_CONTENT.match(decoded.decode(errors="replace")))


def topic_prefix(value: str) -> str:
    """The first part of topics' names."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value):
        raise ValueError("must be 1 to 100 of A–Z a–z 0–9 . _ -")
    return value


TopicPrefix = Annotated[str, AfterValidator(topic_prefix)]


def topic_patterns(value: str) -> str:
    """Names of topics with `*`, separated by commas."""
    if not all(re.fullmatch(r"[A-Za-z0-9._*-]{1,249}", one) for one in value.split(",")):
        raise ValueError("must be topics' names, in which * may stand for any part, separated by commas")
    return value


TopicPatterns = Annotated[str, AfterValidator(topic_patterns)]


def report_storage(value: str) -> str:
    """`directory:PATH`, or `drive:FOLDER_ID`, where the folder may be named by the address that the browser shows."""
    if value.startswith(("https://drive.google.com/", "http://drive.google.com/", "drive.google.com/")):
        value = f"drive:{value}"
    kind, _, place = value.partition(":")
    if kind == "directory" and place:
        path(place)
        return value
    if kind == "drive" and place:
        return f"drive:{_folder_id(place)}"
    raise ValueError("must be directory:PATH or drive:FOLDER_ID")


def _folder_id(place: str) -> str:
    """The id, also out of `https://drive.google.com/drive/u/0/folders/ID?usp=sharing`."""
    path(place)
    place = place.strip()
    address = urlsplit(place if "//" in place else f"//{place}" if place.startswith("drive.google.com/") else place)
    folders = address.path.rstrip("/").rpartition("/")[2]
    found = parse_qs(address.query).get("id", [folders])[0]
    if (address.netloc and "/folders/" not in address.path and "id=" not in address.query) or not FOLDER_ID.fullmatch(
        found
    ):
        raise ValueError(
            "must name a folder of Google Drive by its id or by its address, such as "
            "https://drive.google.com/drive/folders/ID (open the folder in the browser and copy the address)"
        )
    return found


def user_address(value: object) -> object:
    """An e-mail address, as far as that keeps out what is none."""
    if isinstance(value, str) and not re.fullmatch(r"[^\s@{}\"<>]{1,64}@[^\s@{}\"<>]{1,190}", value):
        raise ValueError("must be a user's e-mail address, such as ada@example.com")
    return value


UserAddress = Annotated[str, BeforeValidator(user_address)]


def http_url(value: object) -> object:
    """A URL with a host."""
    if isinstance(value, str):
        try:
            parts = urlsplit(value)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            is_url = False
        if not is_url or re.search(r"\s", value):
            raise ValueError("must be a URL such as http://127.0.0.1:8000")
    return value


HttpUrl = Annotated[str, BeforeValidator(http_url)]


def _duration(value: object) -> object:
    """An ISO 8601 duration without years and months as a timedelta."""
    if not isinstance(value, str):
        return value
    try:
        parsed = isodate.parse_duration(value)
    except isodate.ISO8601Error:
        parsed = None
    if not isinstance(parsed, timedelta) or parsed <= timedelta(0):
        raise ValueError("must be a positive ISO 8601 duration of weeks, days or less, such as P7D or PT12H")
    return parsed


def _calendar_duration(value: object) -> object:
    """An ISO 8601 duration, also of years and months."""
    if not isinstance(value, str):
        return value
    try:
        parsed = isodate.parse_duration(value)
    except isodate.ISO8601Error:
        parsed = timedelta()
    now = datetime.now(UTC)
    if now + parsed <= now:
        raise ValueError("must be a positive ISO 8601 duration, such as P13M or P90D")
    return parsed


CalendarDuration = Annotated[
    isodate.Duration | timedelta, BeforeValidator(_calendar_duration), PlainSerializer(isodate.duration_isoformat)
]
Duration = Annotated[timedelta, BeforeValidator(_duration)]


def servers(value: str) -> str:
    """`host:port`, several separated by commas."""
    found = [server.strip() for server in value.split(",") if server.strip()]
    if not found or not all(map(_is_server, found)):
        raise ValueError(
            "must be host:port, several separated by commas, without a scheme, such as kafka-1:9092,kafka-2:9092 "
            "or [::1]:9092"
        )
    return ",".join(found)


def _is_server(text: str) -> bool:
    """Whether it is host, host:port or [IPv6]:port; a bare IPv6 address has no port."""
    bracketed = re.fullmatch(r"\[([^\[\]]+)\](?::(\d{1,5}))?", text)
    host, port = bracketed.groups() if bracketed else (text, None)
    if bracketed is None and text.count(":") == 1:
        host, _, port = text.partition(":")
        if not (port.isascii() and port.isdigit()):
            return False
    if ":" in host or bracketed is not None:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
    elif not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?", host):
        return False
    return port is None or 0 < int(port) < 65_536
