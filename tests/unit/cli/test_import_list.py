"""The course of an import by the command line: what is begun when, what is never committed, what a person is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from schemas.envelope import qualified
from tests.conftest import make_settings
from worker.cli import import_list, import_told
from worker.cli.commands_import import Mode
from worker.cli.decided import APPLIED, REUSED, Decided
from worker.cli.import_input import Rejects, Source
from worker.cli.import_list import Run, Wanted, load_list
from worker.cli.import_pieces import Pieces
from worker.cli.sender import Prepared, Sender
from worker.cli.silence import NOTICE_SECONDS, Silence
from worker.cli.tail import Tail
from worker.errors import ConfigurationError, Unavailable
from worker.line.names import command_name
from worker.postgres.session import Session

SETTINGS = make_settings("nowhere:9092", "postgresql://nowhere/none")
OLD, NEW = [["a", "b"], ["c"]], [["a", "x"], ["c"]]


def wanted(**more: Any) -> Wanted:
    given: dict[str, Any] = {"segment": "s", "file": "list", "id": "i", "mode": "add", "has_chosen_id": True}
    given |= dict.fromkeys(("ttl", "expires_at", "column", "rejects", "wait_seconds"))
    given |= dict.fromkeys(("registers", "allows_empty", "waits", "as_json"), False)
    return Wanted(**given | more)


class Worker:
    """Decides commands by their names, as the worker does; stands for Kafka and PostgreSQL too."""

    def __init__(self) -> None:
        self.names: dict[bytes, tuple[int, str]] = {}
        self.taken: list[str] = []
        self.held: list[Prepared] | None = None
        self.events: list[dict[str, Any]] = []
        self.state = "open"

    async def send(self, command: Prepared) -> None:
        if self.held is not None:
            self.held.append(command)
            return
        if command_name(command.command) in self.names:
            return
        code = "import_closed" if command.type != "import.begin" and self.state != "open" else APPLIED
        self.names[command_name(command.command)] = command.command.content, code
        if code == APPLIED:
            self.taken.append(command.id)
        else:
            data = {"code": code, "message": "Import 'i' is complete.", "errors": []}
            self.events.append({"type": qualified("command.rejected"), "causationid": command.id, "data": data})
        if command.type == "import.commit":
            self.state = "completed"

    async def flush(self) -> None:
        pass

    async def poll(self) -> list[dict[str, Any]]:
        await asyncio.sleep(0.001)
        events, self.events = self.events, []
        return events

    async def outcomes(self, contents: Mapping[bytes, int]) -> dict[bytes, str]:
        found = {name: self.names[name] for name in contents if name in self.names}
        return {name: code if was == contents[name] else REUSED for name, (was, code) in found.items()}

    async def fetch(self, name: str, *arguments: Any) -> list[dict[str, Any]]:
        assert (name, arguments) == ("imports_list", ("i",))
        at = None if self.state == "open" else datetime(2026, 1, 1, tzinfo=UTC)
        return [{"import": "i", "state": self.state, "failure": "cancelled", "ended_at": at, "committed_at": at}]

    async def run(self, pieces: list[list[str]], error: Exception | None = None, **more: Any) -> bool:
        one = wanted(**more)
        stands: Any = self
        sending = Pieces(
            SETTINGS, cast("Sender", stands), cast("Tail", stands), cast("Decided", stands), one.wait_seconds
        )
        source = Source(stands, "list", None, Rejects())
        return await Run(one, source, sending, cast("Session", stands)).run(each(pieces, error))


async def each(pieces: list[list[str]], error: Exception | None) -> AsyncIterator[list[str]]:
    for piece in pieces:
        yield piece
    if error is not None:
        raise error


async def test_a_file_that_was_changed_is_never_committed(capsys: pytest.CaptureFixture[str]) -> None:
    """Sums that agree prove nothing: the first run has sent a piece that the mended file no longer holds."""
    worker = Worker()
    assert not await worker.run(OLD[:1], ConfigurationError("list: byte 7 is not UTF-8"))
    said = capsys.readouterr().err
    assert "not UTF-8" in said
    assert "--id i goes on where it was, `segmentation imports --cancel i` drops it" in said
    assert not await worker.run(NEW)
    assert worker.taken == ["i:begin", "i:1"]
    said = capsys.readouterr().err
    assert "i:1 was rejected, id_reused: under this id another list was sent before" in said
    assert "`segmentation imports --cancel i`, and import the file under another --id" in said
    assert await worker.run(OLD)
    assert worker.taken == ["i:begin", "i:1", "i:2", "i:commit"]
    assert "3 user ids sent (2 of them before), 0 rows left out" in capsys.readouterr().err


async def test_a_piece_that_was_sent_but_not_decided_when_the_file_was_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No look at the start can find it: the worker takes the first run's only while the second one sends."""
    worker = Sends(OLD)
    assert not await worker.run(NEW)
    assert worker.taken == ["i:begin", "i:1", "i:2"]
    assert "i:1 was rejected, id_reused" in capsys.readouterr().err


class Sends(Worker):
    """A worker that finds an earlier run's pieces first, as soon as one of this run's comes."""

    def __init__(self, earlier: list[list[str]]) -> None:
        super().__init__()
        self.earlier = earlier

    async def send(self, command: Prepared) -> None:
        if command.type == "import.users":
            for number, piece in enumerate(self.earlier, 1):
                sending = Pieces(SETTINGS, cast("Any", self), cast("Any", self), cast("Any", self), None)
                data = {"import": "i", "user_ids": piece}
                await super().send(sending.make("import.users", data, str(number)))
        await super().send(command)


async def test_the_same_list_again_is_told_so_and_another_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    worker = Worker()
    assert await worker.run(OLD)
    taken = list(worker.taken)
    capsys.readouterr()
    assert await worker.run(OLD)
    assert "import i was completed before, at 20" in (said := capsys.readouterr().err)
    assert "with this list; nothing was sent" in said
    for other in (NEW, OLD[:1], [*OLD, ["d"]]):
        assert not await worker.run(other)
        assert "with another list than this" in capsys.readouterr().err
    assert worker.taken == taken
    assert not await worker.run(OLD, mode="remove")
    assert "id_reused: an import i was begun before with other options; choose another --id" in capsys.readouterr().err
    worker.state = "failed"
    assert not await worker.run(OLD)
    assert "import i has failed before, cancelled: nothing was sent, choose another --id" in capsys.readouterr().err


async def test_an_import_that_was_refused_is_not_begun_again(capsys: pytest.CaptureFixture[str]) -> None:
    worker = Worker()
    assert await worker.run([])
    worker.names = {name: (content, "segment_not_found") for name, (content, _) in worker.names.items()}
    assert not await worker.run(OLD)
    assert "rejected before: segment_not_found; an import i is not begun again" in capsys.readouterr().err
    assert worker.taken == ["i:begin", "i:commit"]


async def test_a_list_that_was_closed_meanwhile_is_not_committed(capsys: pytest.CaptureFixture[str]) -> None:
    worker = Worker()
    assert await worker.run(OLD[:1])
    worker.names = {name: one for name, one in worker.names.items() if one[1] == APPLIED}
    sending = worker.fetch

    async def still_open(name: str, *arguments: Any) -> list[dict[str, Any]]:
        return [(await sending(name, *arguments))[0] | {"state": "open"}]

    worker.fetch = still_open  # type: ignore[method-assign]  # what another transaction sees a moment earlier
    assert not await worker.run(OLD)
    said = capsys.readouterr().err
    assert "Import 'i' is complete." in said
    assert "i:2 was rejected, import_closed: `segmentation imports` says" in said


async def test_no_worker_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    worker = Worker()
    worker.held = []
    assert not await worker.run(OLD, wait_seconds=0.05)
    assert [command.id for command in worker.held] == ["i:begin"], "nothing is sent to an import that is not there"
    said = capsys.readouterr().err
    assert "no answer within 0.05 s: it seems that no worker runs" in said
    assert "import i is not committed" in said


async def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    worker = Worker()
    worker.held = []
    running = asyncio.create_task(worker.run(OLD))
    while not worker.held:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "the same command with --id i goes on where it was" in capsys.readouterr().err


def test_a_long_wait_is_told_once_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    silence = Silence("answer", "does a worker run?", 30, lambda: now)
    for _ in range(2):
        now += NOTICE_SECONDS
        silence.check()
    assert capsys.readouterr().err.count("no answer yet after 5 s, still waiting: does a worker run?") == 1
    silence.heard()
    now += 29
    silence.check()
    now += 1
    with pytest.raises(Unavailable, match="no answer within 30 s: does a worker run"):
        silence.check()


@pytest.mark.parametrize("mode", Mode)
async def test_an_empty_list_begins_nothing(
    mode: Mode, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where one is begun, this test would fail for want of Kafka."""
    monkeypatch.setattr(import_list, "load", lambda: SETTINGS)
    file = tmp_path / "list"
    file.write_text("user_id\n1.0\n")
    assert not await load_list(wanted(file=str(file), mode=mode.value))
    said = capsys.readouterr().err
    assert "row 2: 1.0: it looks like" in said
    assert "the list has no user ids, 1 row left out: nothing was begun" in said
    assert ("--allow-empty" in said) == (mode == Mode.REPLACE)


async def test_a_list_that_can_not_be_read_begins_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_list, "load", lambda: SETTINGS)
    file = tmp_path / "list.csv"
    for content, more in ((b"a,b\n1,2\n", {}), (b"a,b\n1,2\n", {"column": "c"}), (b"ada\n\xff\n", {})):
        file.write_bytes(content)
        with pytest.raises(ConfigurationError):
            await load_list(wanted(file=str(file), **more))


def test_who_is_left_out_is_not_counted_as_imported(capsys: pytest.CaptureFixture[str]) -> None:
    row: dict[str, Any] = dict.fromkeys(("exited", "renewed", "unchanged", "registered", "too_many_segments"), 0)
    row |= {"state": "completed", "segment": "s", "users": 4, "entered": 3, "unknown": 1, "unknown_sample": ["x"]}
    import_told.outcome(cast("Any", row))
    said = capsys.readouterr().out
    assert "s  4 user ids: 3 entered, 0 exited, 0 renewed, 0 unchanged, 0 registered, 1 unknown\n" in said
    assert "1 are not known and were left out, such as x; --register takes them" in said
