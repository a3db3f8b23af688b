"""Keeps the values of settings out of what a report's failure tells everybody."""

from __future__ import annotations

from typing import Literal, get_origin
from urllib.parse import unquote

from pydantic import SecretStr

from worker.settings import ENV_PREFIX, Settings

PUBLISHED = frozenset({"report_storage", "event_source", "topic_prefix", "group_id"})
"""Settings that stand in events, topics and consumer groups anyway."""
CHARACTERS_MIN = 4
"""Shorter values stand in too many words."""


class Discretion:
    """The last look at a text before it is stored and published: a setting's value in it becomes the setting's name.

    Messages are written without such values; this holds also for what others say and for messages yet to be written.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = dict[str, str]()
        self._secrets = dict[str, str]()
        for name, field in type(settings).model_fields.items():
            value = getattr(settings, name)
            is_free_text = isinstance(value, (str, SecretStr)) and get_origin(field.annotation) is not Literal
            if not is_free_text or name in PUBLISHED or value == field.get_default():
                continue
            for part in _parts(value):
                self._names.setdefault(part, ENV_PREFIX + name.upper())
            if isinstance(value, SecretStr):
                self._secrets |= dict.fromkeys(_passwords(value.get_secret_value()), ENV_PREFIX + name.upper())

    def of(self, text: str) -> str:
        """The text for everybody."""
        return _replaced(text, self._names)

    def for_log(self, text: str) -> str:
        """The text for the operator, who may know addresses and paths, but whose log is no place for passwords."""
        return _replaced(text, self._secrets)


def _replaced(text: str, names: dict[str, str]) -> str:
    """The longest first, as one may be a part of another."""
    for value in sorted(names, key=len, reverse=True):
        text = text.replace(value, names[value])
    return text


def _passwords(secret: str) -> set[str]:
    """All of it, and of a URL its password."""
    credentials = secret.partition("://")[2].rpartition("@")[0]
    password = credentials.partition(":")[2]
    return {part for part in (secret, password, unquote(password)) if len(part) >= CHARACTERS_MIN}


def _parts(value: str | SecretStr) -> set[str]:
    """The value, and of a URL or a list of addresses what else may be told of it."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    rest = text.partition("://")[2].partition("?")[0]
    credentials, _, place = rest.rpartition("@")
    parts = {text, *credentials.split(":"), *place.partition("/")[0].split(","), *text.split(",")}
    return {part for part in parts | {unquote(part) for part in parts} if len(part) >= CHARACTERS_MIN}
