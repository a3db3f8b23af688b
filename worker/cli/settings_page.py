"""`settings`: every setting with its meaning; also the text of docs/settings.md."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import isodate
from pydantic import SecretStr
from rich.markup import escape
from rich.table import Table

from worker.cli.console import out
from worker.settings import ENV_PREFIX, Settings, load


def markdown() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Environment variables, checked at the start. `segmentation settings --markdown` writes this page.",
        "",
        "| variable | default | meaning |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = _text(field.get_default())
        lines.append(
            f"| `{ENV_PREFIX}{name.upper()}` | {f'`{default}`' if default else 'none'} | {field.description} |"
        )
    return "\n".join(lines) + "\n"


def show(*, as_markdown: bool) -> None:
    """Print all settings, and which of them the environment sets; raises ConfigurationError for a wrong one."""
    if as_markdown:
        sys.stdout.write(markdown())
        return
    settings = load()
    table = Table("variable", "value", "meaning", show_lines=False)
    for name, field in Settings.model_fields.items():
        style = "bold green" if name in settings.model_fields_set else "dim"
        value = escape(_text(getattr(settings, name)))
        table.add_row(f"{ENV_PREFIX}{name.upper()}", f"[{style}]{value or 'none'}[/]", escape(field.description or ""))
    out.print(table)
    out.print("[dim]bold green: from the environment[/]")


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return _without_password(value.get_secret_value())
        case timedelta():
            return str(isodate.duration_isoformat(value))
        case _:
            return str(value)


def _without_password(secret: str) -> str:
    """A URL without its password; any other secret not at all."""
    scheme, separator, rest = secret.partition("://")
    if not separator:
        return "***"
    credentials, at, host = rest.rpartition("@")
    user = credentials.partition(":")
    return f"{scheme}://{user[0]}{':***' if user[1] else ''}{at}{host}"
