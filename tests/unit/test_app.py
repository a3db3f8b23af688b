"""What the composition root says about itself."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from worker import app
from worker.observability.progress import Progress
from worker.postgres.session import Database, Session
from worker.settings import Settings


@pytest.mark.parametrize("lanes", [1, 3])
async def test_a_worker_needs_as_many_sessions_as_it_makes(monkeypatch: pytest.MonkeyPatch, lanes: int) -> None:
    """The number is checked at the start, and documented."""
    made: list[str] = []
    session = Database.session

    def counted(database: Database, name: str, *arguments: Any, **others: Any) -> Session:
        made.append(name)
        return session(database, name, *arguments, **others)

    monkeypatch.setattr(Database, "session", counted)
    monkeypatch.setattr(app, "group_consumer", Mock())
    settings = Settings(apply_connections=lanes)
    app.App(settings, Progress(60))
    assert len(made) == app.sessions_needed(settings), made
