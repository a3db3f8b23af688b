"""The store on disk: whose it is, what must be in it, and what happens when the disk does not play along."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from schemas.reader import Memberships, StoreError, StoreFormatError, StoreFullError, StoreInUseError
from schemas.reader.files import FILE
from tests.support.kept import STATES, Kept, kept, state

KILLED = """
import asyncio, os, sys
from pathlib import Path
from tests.support.kept import kept, state

async def main():
    with kept(Path(sys.argv[1])) as one:
        await one.begin()
        one.memberships.apply([state(0, "sam", 1, "beta")])
        connection = one.memberships._store._writer
        connection.execute("begin immediate")
        connection.execute("update users set sequence = 9")
        connection.execute("update positions set next_offset = 9")
        os._exit(9)

asyncio.run(main())
"""
OPENED = """
import sys
from schemas.reader import Memberships, StoreInUseError
try:
    Memberships.open(sys.argv[1])
except StoreInUseError as error:
    print(error)
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )


def change(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.execute(sql)
        connection.commit()


async def filled(one: Kept) -> None:
    await one.begin()
    one.memberships.apply([state(0, "sam", 1, "beta")])


async def test_killed_in_the_middle_it_goes_on_where_its_data_are(tmp_path: Path) -> None:
    assert run(KILLED, tmp_path).returncode == 9
    with kept(tmp_path) as one:
        one.ends[STATES, 0] = 5
        assert await one.begin() == {(STATES, 0): 0}  # the last record that is in, to be compared
        assert one.memberships.sequence_of("sam") == 1
        one.memberships.apply([state(0, "sam", 1, "beta"), state(1, "sam", 2, "sale")])
        assert one.memberships.segments_of("sam") == {"sale"}
        assert await one.begin() == {(STATES, 0): 1}


def test_a_folder_belongs_to_one(tmp_path: Path) -> None:
    with kept(tmp_path):
        assert "is open in another process" in run(OPENED, tmp_path).stdout
        with pytest.raises(StoreInUseError, match="each needs a folder of its own"):
            Memberships.open(tmp_path)
    Memberships.open(tmp_path).close()


async def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await filled(one)
    change(tmp_path, "pragma user_version = 2")
    with pytest.raises(StoreFormatError, match="format 2 of a newer version, this one knows 1: upgrade, or begin anew"):
        Memberships.open(tmp_path)
    with kept(tmp_path, rebuild=True) as one:
        assert await one.begin() == {(STATES, 0): 0}
        assert one.memberships.segments_of("sam") == frozenset()


async def test_an_older_format_is_read_anew(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await filled(one)
    change(tmp_path, "pragma user_version = 0")
    with kept(tmp_path) as one:
        assert one.memberships.sequence_of("sam") is None
        await filled(one)


def test_what_is_another_programs_is_not_touched(tmp_path: Path) -> None:
    change(tmp_path, "create table theirs (it text)")
    with pytest.raises(StoreFormatError, match="is another program's: name another folder"):
        Memberships.open(tmp_path)
    change(tmp_path, "drop table theirs")
    (tmp_path / FILE).write_bytes(b"not a database at all" * 1000)
    with pytest.raises(StoreFormatError, match="damaged"):
        Memberships.open(tmp_path)
    Memberships.open(tmp_path, rebuild=True).close()


async def test_a_damaged_page_is_named_as_such(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await one.begin()
        one.memberships.apply([state(n, f"user-{n}", n, "beta") for n in range(500)])
    text = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(text[:4096] + b"\xff" * (len(text) - 4096))
    with pytest.raises(StoreFormatError, match=r"damaged .*: begin anew"), kept(tmp_path) as one:
        one.memberships.segments_of("user-1")


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be used: "):
        Memberships.open(tmp_path / "file")
    with pytest.raises(StoreError, match="can't be used: "):
        Memberships.open(tmp_path / "file" / "below")


async def test_a_full_disk_takes_nothing_and_forgets_nothing(tmp_path: Path) -> None:
    many = [state(n, f"user-{n}", n, *(f"segment-{m}" for m in range(50))) for n in range(1, 200)]
    with kept(tmp_path) as one:
        await filled(one)
        writer = one.memberships._store._writer
        (pages,) = writer.execute("pragma page_count").fetchone()
        writer.execute(f"pragma max_page_count = {pages + 2}")
        with pytest.raises(StoreFullError, match="make room on the disk and hand the records over again"):
            one.memberships.apply(many)
        assert one.memberships.segments_of("sam") == {"beta"}
        assert one.memberships.segments_of("user-1") == frozenset()
        writer.execute("pragma max_page_count = 1000000")
        one.memberships.apply(many)
        assert one.memberships.is_in("user-199", "segment-49")
    with kept(tmp_path) as one:
        assert one.memberships.is_in("user-1", "segment-0")


async def test_rebuilt_in_place_it_begins_anew(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await filled(one)
        one.memberships.rebuild()
        assert one.memberships.segments_of("sam") == frozenset()
        assert await one.begin() == {(STATES, 0): 0}
        one.memberships.apply([state(0, "sam", 1, "sale")])
        assert one.memberships.segments_of("sam") == {"sale"}


async def test_closed_it_says_so(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await filled(one)
    for use in (lambda: one.memberships.segments_of("sam"), lambda: one.memberships.apply([])):
        with pytest.raises(StoreError, match="is closed"):
            use()
    with pytest.raises(StoreError, match="is closed"):
        await one.memberships.take([])
    one.memberships.close()


async def test_lookups_from_many_threads_see_whole_states(tmp_path: Path) -> None:
    states = [("beta", "sale"), ("new",)]
    seen: set[frozenset[str]] = set()
    errors: list[BaseException] = []
    done = threading.Event()

    def look(memberships: Memberships) -> None:
        try:
            while not done.is_set():
                seen.add(memberships.segments_of("sam"))
        except BaseException as error:
            errors.append(error)
            raise

    with kept(tmp_path) as one:
        await one.begin()
        threads = [threading.Thread(target=look, args=(one.memberships,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for offset in range(200):
            await one.memberships.take([state(offset, "sam", offset, *states[offset % 2])])
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert seen <= {frozenset(), *map(frozenset, states)}
