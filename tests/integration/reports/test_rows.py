"""The file of a month: every value as the contract has it, in the journal's order, of one snapshot."""

from __future__ import annotations

import asyncio
import csv
import gzip
import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.reports.desk import MONTH, Desk
from worker.postgres.session import Session
from worker.reports.failures import ReportError
from worker.reports.months import Month
from worker.reports.page.summary import Flow
from worker.reports.rows import PIECE_BYTES, PIECES_MAX, RowStream
from worker.reports.totals import Totals, totals

HEADER = ["user_id", "segment", "operation", "reason", "time", "expires_at", "command_id"]
UNCOMPRESSED = 64 * 1024 * 1024
NOON = datetime(2025, 3, 10, 12, 0, 0, 250, tzinfo=UTC)


class GivenUpError(Exception):
    """The upload is given up."""


async def written(
    desk: Desk, *, separator: str = ";", compress_bytes_min: int = UNCOMPRESSED
) -> tuple[bytes, RowStream]:
    async with RowStream(desk.session, MONTH, separator, compress_bytes_min) as stream:
        content = b"".join([piece async for piece in stream.content()])
    return content, stream


def parsed(content: bytes, separator: str = ";") -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator))
    assert rows[0] == HEADER
    return rows[1:]


async def test_each_user_and_segment_has_a_row(desk: Desk) -> None:
    a, b, c = [await desk.segment(name) for name in "abc"]
    end = datetime(2026, 1, 1, tzinfo=UTC)
    await desk.journal(NOON, "u", entered=[b, a], exited=[c], renewed=[c], expires_at=[end, None, end], command_id="k")
    await desk.journal(NOON, "v", "rollout", entered=[a])
    await desk.journal(NOON, "w", unchanged=[a], command_id="l")
    content, stream = await written(desk)
    assert parsed(content) == [
        ["u", "b", "entered", "command", "2025-03-10T12:00:00.000250Z", "2026-01-01T00:00:00.000000Z", "k"],
        ["u", "a", "entered", "command", "2025-03-10T12:00:00.000250Z", "", "k"],
        ["u", "c", "renewed", "command", "2025-03-10T12:00:00.000250Z", "2026-01-01T00:00:00.000000Z", "k"],
        ["u", "c", "exited", "command", "2025-03-10T12:00:00.000250Z", "", "k"],
        ["v", "a", "entered", "rollout", "2025-03-10T12:00:00.000250Z", "", ""],
    ]
    assert (stream.rows, stream.bytes, stream.sha256) == (5, len(content), hashlib.sha256(content).hexdigest())


async def test_a_month_is_half_open_and_in_utc(desk: Desk) -> None:
    key = await desk.segment("a")
    for number, time in enumerate(
        [
            MONTH.begins - timedelta(microseconds=1),
            MONTH.begins,
            MONTH.ends - timedelta(microseconds=1),
            MONTH.ends,
        ]
    ):
        await desk.journal(time, f"u{number}", entered=[key])
    content, _ = await written(desk)
    assert [row[0] for row in parsed(content)] == ["u1", "u2"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "＝1", "＋1", "－1", "＠x"])
async def test_no_spreadsheet_runs_what_others_wrote(desk: Desk, text: str) -> None:
    key = await desk.segment("a")
    await desk.journal(NOON, text, entered=[key], command_id=text)
    (row,) = parsed((await written(desk))[0])
    assert (row[0], row[-1]) == ("'" + text, "'" + text)


TRIGGERS = "=+-@＝＋－＠"
BLANK = " \t\n\r\v\f\u00a0\u200b\ufeff"


@given(
    st.lists(st.text(st.sampled_from(TRIGGERS + BLANK + ",;|\"'ab1"), min_size=1, max_size=8), min_size=1, max_size=20)
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_nor_what_hides_behind_separators_and_blanks(desk: Desk, texts: list[str]) -> None:
    """Whatever a program takes for a separator: no cell of it begins as a formula."""
    rows = await desk.sql.fetch("select x as text, spreadsheet_safe(x) as safe from unnest($1::text[]) x", texts)
    for row in rows:
        assert row["safe"].replace("'", "") == row["text"].replace("'", "")
        for separator in ',;|\t\n\r"':
            for cell in row["safe"].split(separator):
                assert not cell.strip(BLANK).startswith(tuple(TRIGGERS)), row
        assert row["safe"][0] not in "\t\n\r"


@pytest.mark.parametrize("text", ["4f3e-11", "a=b", "x-1", "order 5 - 3", "über@x", "a.b:c_d-e"])
async def test_what_is_harmless_stays_as_it_is(desk: Desk, text: str) -> None:
    assert await desk.sql.fetchval("select spreadsheet_safe($1)", text) == text


@pytest.mark.parametrize("text", ['say "hi"', "a;b", "a,b", "a\nb", "a\r\nb", "ü–\U0001f600", "'", '"', "1=2"])
@pytest.mark.parametrize("separator", [";", ","])
async def test_values_are_quoted(desk: Desk, text: str, separator: str) -> None:
    key = await desk.segment("a")
    await desk.journal(NOON, text.replace("\n", "").replace("\r", ""), entered=[key], command_id=text)
    ((*_, command_id),) = parsed((await written(desk, separator=separator))[0], separator)
    assert command_id == text


async def test_rows_are_in_the_journals_order_whatever_the_table_has(desk: Desk) -> None:
    keys = [await desk.segment(f"s{number}") for number in range(40)]
    await desk.sql.execute(
        "insert into journal (sequence, time, type, reason, user_id, entered)"
        " select n, $1, 'membership.changed', 'command', 'u' || n, array[$2::integer + n % 40]"
        " from generate_series(1, 5000) n order by random()",
        NOON,
        keys[0],
    )
    await desk.sql.execute("analyze journal")
    content, stream = await written(desk)
    assert [row[0] for row in parsed(content)] == [f"u{number}" for number in range(1, 5001)]
    assert stream.rows == 5000


async def test_an_empty_month_is_a_header(desk: Desk) -> None:
    content, stream = await written(desk)
    assert (parsed(content), stream.rows) == ([], 0)
    assert content.endswith(b"\n")


async def test_large_ones_are_compressed_always_to_the_same_bytes(desk: Desk) -> None:
    key = await desk.segment("a")
    for number in range(50):
        await desk.journal(NOON, f"u{number}", entered=[key])
    plain, stream = await written(desk)
    assert not stream.is_compressed
    packed, stream = await written(desk, compress_bytes_min=len(plain))
    assert stream.is_compressed
    assert gzip.decompress(packed) == plain
    assert (stream.rows, stream.bytes, stream.sha256) == (50, len(packed), hashlib.sha256(packed).hexdigest())
    assert (await written(desk, compress_bytes_min=0))[0] == packed
    assert not (await written(desk, compress_bytes_min=len(plain) + 1))[1].is_compressed


async def test_it_is_one_snapshot(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written after the sums were made is of the next edition."""
    key = await desk.segment("a")
    await desk.journal(NOON, "before", entered=[key])

    async def slow_totals(session: Session, month: Month) -> Totals:
        made = await totals(session, month)
        await desk.journal(NOON, "meanwhile", entered=[key])
        return made

    monkeypatch.setattr("worker.reports.rows.totals", slow_totals)
    content, stream = await written(desk)
    assert [row[0] for row in parsed(content)] == ["before"]
    assert stream.totals.total.entered == 1


@pytest.mark.parametrize("compress_bytes_min", [0, UNCOMPRESSED])
async def test_what_does_not_add_up_never_looks_complete(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, compress_bytes_min: int
) -> None:
    key = await desk.segment("a")
    await desk.journal(NOON, "u", entered=[key])

    async def wrong_totals(session: Session, month: Month) -> Totals:
        return replace(await totals(session, month), total=Flow(2, 0, 0))

    monkeypatch.setattr("worker.reports.rows.totals", wrong_totals)
    pieces = []
    with pytest.raises(ReportError, match="1 rows, but the sums tell of 2"):
        async with RowStream(desk.session, MONTH, ";", compress_bytes_min) as stream:
            async for piece in stream.content():
                pieces.append(piece)  # noqa: PERF401 - what came before the error counts
    assert not b"".join(pieces).endswith(b"\n")


async def test_the_database_waits_for_a_reader_that_is_slow(desk: Desk) -> None:
    """Nothing but a few pieces is held; and a reader that gives up gives the session up."""
    key = await desk.segment("a")
    await desk.sql.execute(
        "insert into journal (sequence, time, type, reason, user_id, entered, command_id)"
        " select n, $1, 'membership.changed', 'command', 'u' || n, array[$2::integer], repeat('x', 120)"
        " from generate_series(1, 100000) n",
        NOON,
        key,
    )
    with pytest.raises(GivenUpError):
        async with RowStream(desk.session, MONTH, ";", 0) as stream:
            while not stream._pieces.full():
                await desk.sql.execute("select pg_sleep(0.01)")
            await desk.sql.execute("select pg_sleep(0.2)")
            assert stream.lines < (PIECES_MAX + 2) * PIECE_BYTES / 150
            raise GivenUpError
    assert stream._reading.done()
    assert (await desk.session.row("journal_head"))["sequence"] == 0


async def test_the_snapshot_ends_with_the_copy(desk: Desk) -> None:
    """Not with the upload, which may take long: an idle transaction is ended by the server, and holds vacuum up."""
    key = await desk.segment("a")
    await desk.journal(NOON, "u", entered=[key])
    async with RowStream(desk.session, MONTH, ";", UNCOMPRESSED) as stream:
        held = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'"
        async with asyncio.timeout(30):
            while await desk.sql.fetchval(held):
                await asyncio.sleep(0.01)
        assert [piece async for piece in stream.content()]


async def test_a_month_that_was_dropped_is_not_reported_as_empty(desk: Desk) -> None:
    await desk.sql.execute("insert into reports (month, journal_dropped_at) values ($1, now())", MONTH.first_day)
    with pytest.raises(ReportError, match="was dropped") as caught:
        await written(desk)
    assert caught.value.code == "journal_dropped"


def test_months() -> None:
    assert (Month(2024, 2).begins, Month(2024, 2).ends) == (
        datetime(2024, 2, 1, tzinfo=UTC),
        datetime(2024, 3, 1, tzinfo=UTC),
    )
    assert Month(2024, 12).ends == datetime(2025, 1, 1, tzinfo=UTC)
    assert str(Month(2024, 2)) == "2024-02"
