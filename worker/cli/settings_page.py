"""`settings`: every setting with its meaning; also the text of docs/settings.md."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from typing import Any

import isodate
from pydantic import SecretStr
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from worker.cli.console import out, plain, show, write
from worker.settings import ENV_PREFIX, Settings, load

HIDDEN = "***"
COMPOSE_VARIABLES = (
    "#POSTGRES_PASSWORD=segmentation",
    "#POSTGRES_PORT=5432",
    "#KAFKA_PORT=9092",
    "#HTTP_PORTS=8080-8179",
    "#WORKERS=2",
)
"""As docker-compose.yml has them; a test compares."""


def markdown() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Environment variables, checked at the start. What the environment does not set is read from the file `.env`",
        "in the current folder; [`.env.example`](../.env.example) is a start. `SEGMENTATION_ENV_FILE` names another",
        "file, or none if it is empty. An empty variable counts as one that is not set, but for",
        "`SEGMENTATION_HTTP_ADDRESS`. In `.env`, `${NAME}` within a value is replaced by another variable.",
        "`segmentation settings` lists what holds here.",
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


def env_file() -> str:
    """`.env.example`: every setting with its default, to be copied to `.env`."""
    lines = [
        "# Copy this file to `.env`, and take the # away from what you set. Commands and workers that are started in",
        "# this folder read it; variables of the environment win. Keep it to yourself where it holds passwords.",
        "# `segmentation settings --env` writes this text.",
    ]
    for name, field in Settings.model_fields.items():
        default = _text(field.get_default())
        lines += [
            "",
            f"# {field.description}",
            f"#{ENV_PREFIX}{name.upper()}={shlex.quote(default) if default else ''}",
        ]
    lines += ["", "# For `make up` alone: Docker Compose reads this file, too.", *COMPOSE_VARIABLES]
    return "\n".join(lines) + "\n"


def listing() -> None:
    """Print all settings; raises ConfigurationError for a wrong one. To a program, a shell's assignment a line."""
    settings = load()
    if out.is_terminal:
        show(_table(settings))
        out.print("[bold green]green[/][dim]: set by the environment or `.env`; secrets are not shown[/]")
        return
    for name in Settings.model_fields:
        write(f"{ENV_PREFIX}{name.upper()}={shlex.quote(_text(getattr(settings, name)))}")


def _table(settings: Settings) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("variable", header_style="dim", no_wrap=True)
    for column in ("value", "default", "meaning"):
        table.add_column(column, header_style="dim", overflow="fold")
    for name, field in Settings.model_fields.items():
        value, default = _text(getattr(settings, name)), _text(field.get_default())
        style = "bold green" if name in settings.model_fields_set else ""
        table.add_row(
            f"{ENV_PREFIX}{name.upper()}",
            Text(plain(value) or "none", style or ("" if value else "dim")),
            Text("" if value == default else default or "none", "dim"),
            Text(field.description or "", "dim"),
        )
    return table


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return _without_password(value.get_secret_value())
        case timedelta() | isodate.Duration():
            return str(isodate.duration_isoformat(value))
        case _:
            return str(value)


def _without_password(secret: str) -> str:
    """A URL without its passwords, also those among its parameters; any other secret not at all."""
    scheme, separator, rest = secret.partition("://")
    if not separator:
        return HIDDEN
    credentials, at, host = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    host = re.sub(r"(?i)([?&][^=&]*pass[^=&]*=)[^&]*", rf"\1{HIDDEN}", host)
    return f"{scheme}://{user}{colon and ':' + HIDDEN}{at}{host}"
