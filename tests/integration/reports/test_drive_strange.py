"""Answers that are none of Drive's, and credentials that are replaced under a running worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.reports.drives import opened
from tests.integration.reports.places import document, pieces
from tests.support.drive import USER, LocalDrive
from worker.reports.drive.storage import Drive
from worker.reports.storage import StorageError

HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (HTML, b"<html>Log in first</html>"),
        (JSON, b"\xff\xfe"),
        (JSON, b"[]"),
        (JSON, b"{}"),
        (JSON, b'"x"'),
        (JSON, b""),
    ],
)
async def test_what_something_in_between_says_is_a_failure_that_passes(
    local: LocalDrive, drive: Drive, headers: dict[str, str], body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (document_id,) = await drive.reserve(1)
    monkeypatch.setattr(local, "answer", lambda *_, **__: (200, headers, body))
    for asking in (drive.reserve(1), drive.put(document(document_id), pieces(b"x"))):
        with pytest.raises(StorageError) as caught:
            await asking
        assert not caught.value.is_permanent
    findings = await drive.check(with_trial=True)
    assert [finding for finding in findings if not finding.is_good]


async def test_replaced_credentials_are_read(local: LocalDrive, tmp_path: Path) -> None:
    """As the message of the refusal asks for; the worker is not started again."""
    folder = local.world.add("Reports", None, owner=USER)
    async with opened(local, folder, credentials_file=local.user_file) as drive:
        (document_id,) = await drive.reserve(1)
        local.tokens.refresh_token = "another"
        local.tokens.live.clear()
        with pytest.raises(StorageError) as caught:
            await drive.put(document(document_id), pieces(b"x"))
        assert caught.value.code == "token_expired"
        assert local.tokens.user_file(tmp_path, local.endpoint) == local.user_file
        assert await drive.put(document(document_id), pieces(b"x"))
