"""Standard input as lines, whatever it is and however it is cut."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.cli import send_lines, standard_input
from worker.errors import ConfigurationError


class Standard:
    """A standard input that is the descriptor given."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor


@contextmanager
def standard_input_of(monkeypatch: pytest.MonkeyPatch, path: Path) -> Iterator[None]:
    with path.open("rb") as file, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", Standard(file.fileno()))
        yield


@pytest.mark.parametrize("block", [1, 2, 7, 64 * 1024])
@pytest.mark.parametrize("text", [b"", b"\n", b"a", b"a\n", b"a\nb", b"\n\na\r\n\nb\n", "ü\n".encode() * 10])
async def test_lines_are_those_of_the_file(
    text: bytes, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(text)
    monkeypatch.setattr(standard_input, "READ_BYTES", block)
    with standard_input_of(monkeypatch, path):
        lines = [line async for some in standard_input.lines() for line in some]
    assert lines == (text.split(b"\n")[:-1] if text.endswith(b"\n") else text.split(b"\n") if text else [])


SAID = '{"user_id": "ü😀"}\r\n{}\n'


@pytest.mark.parametrize("block", [1, 2, 3, 64 * 1024])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-16-be mark"])
async def test_whatever_shell_has_written_it(
    encoding: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines"
    name, _, mark = encoding.partition(" ")
    path.write_bytes((("\ufeff" if mark else "") + SAID).encode(name))
    monkeypatch.setattr(standard_input, "READ_BYTES", block)
    with standard_input_of(monkeypatch, path):
        lines = [line async for some in standard_input.lines() for line in some]
    assert [send_lines._object(line) for line in lines] == [{"user_id": "ü😀"}, {}]


async def test_an_endless_line_is_cut_and_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_input, "LINE_BYTES_MAX", 100)
    monkeypatch.setattr(standard_input, "READ_BYTES", 10)
    path = tmp_path / "lines"
    path.write_bytes(b"{}\n" + b"x" * 10_000 + b"\n{}\n")
    with standard_input_of(monkeypatch, path):
        first, second, third = [line async for some in standard_input.lines() for line in some]
    assert (first, third) == (b"{}", b"{}")
    assert 100 < len(second) <= 120
    with pytest.raises(ConfigurationError, match="longer than 100 bytes"):
        send_lines._object(second)


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"{", "not JSON: "), (b"[]", "must be an object"), (b"5", "must be an object"), (b"\xff", "JSON")],
)
def test_what_is_no_object(text: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        send_lines._object(text)


def test_an_input_that_stays_silent_keeps_nothing_from_ending() -> None:
    script = (
        "import asyncio\nfrom worker.cli import standard_input\n"
        "async def main():\n"
        "    reading = asyncio.ensure_future(anext(standard_input.lines()))\n"
        "    await asyncio.wait({reading}, timeout=0.1)\n"
        "    reading.cancel()\n"
        "asyncio.run(main())\n"
    )
    silent, writer = os.pipe()
    try:
        done = subprocess.run([sys.executable, "-c", script], stdin=silent, timeout=20, check=False)
    finally:
        os.close(silent)
        os.close(writer)
    assert done.returncode == 0
