"""Lists of users from a person's files into a segment, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.shell import Shell


async def _segment(shell: Shell, name: str, users: int) -> None:
    commands = [{"type": "segment.create", "data": {"segment": name}}]
    commands += [{"type": "user.register", "data": {"user_id": f"{name}-{number}"}} for number in range(users)]
    await shell.good("send", "-", "--wait", stdin="\n".join(map(json.dumps, commands)))


async def test_a_file_is_imported_and_told_of(shell: Shell, name: str, tmp_path: Path) -> None:
    await _segment(shell, name, 3)
    file, rejects = tmp_path / "users.csv", tmp_path / "rejects.ndjson"
    file.write_text(f"user_id;note\n{name}-0;a\n{name}-1;b\n1.23E+17;c\n{name}-x;d\n{name}-0;e\n")
    words = ("import", name, str(file), "--id", name, "--wait", "--rejects", str(rejects))
    done = await shell.run(*words)
    assert (done.code, done.out.count("3 user ids: 2 entered")) == (0, 1), done
    assert f"1 are not known and were left out, such as {name}-x" in done.out
    assert "4 user ids sent, 1 rows left out" in done.err
    assert "row 4: 1.23E+17: it looks like a number that a spreadsheet has rounded" in done.err
    assert json.loads(rejects.read_text()) == {
        "number": 4,
        "text": "1.23E+17",
        "reason": "it looks like a number that a spreadsheet has rounded: format the column as text",
    }

    again = await shell.run(*words, "--json")
    assert again.code == 0, again
    told = json.loads(again.out)
    assert (told["received"], told["entered"], told["state"]) == (4, 2, "completed"), "a second run repeats nothing"
    assert f"import {name} was completed before" in again.err
    assert "with this list; nothing was sent" in again.err
    file.write_text(f"{name}-2\n")
    assert "with another list than this" in await shell.bad(*words)

    (row,) = [
        row for row in map(json.loads, (await shell.good("imports", "--json")).splitlines()) if row["import"] == name
    ]
    assert (row["users"], row["unknown"]) == (3, 1)
    assert name in await shell.good("imports")
    told = json.loads(await shell.good("segment", name, "--json"))
    assert [change["type"].split(".", 1)[1] for change in told["changes"]] == [
        "import.completed.v1",
        "import.began.v1",
        "segment.created.v1",
    ], "the pieces of the list are left out"


async def test_a_list_from_standard_input_replaces_the_members(shell: Shell, name: str) -> None:
    await _segment(shell, name, 2)
    first = await shell.run("import", name, "--wait", stdin=f"{name}-0\n")
    assert "1 entered" in first.out, first
    second = await shell.run("import", name, "-", "--mode", "replace", "--wait", stdin=f"{name}-1\n")
    assert "1 entered, 1 exited" in second.out, second
    members = await shell.good("members", name, "--all", "--csv")
    assert [line.split(",")[0] for line in members.splitlines()[1:]] == [f"{name}-1"]


async def test_what_can_not_be_imported_is_said(shell: Shell, name: str, tmp_path: Path) -> None:
    assert "none.csv: No such file" in await shell.bad("import", name, str(tmp_path / "none.csv"), "--id", name)
    assert f"There is no import {name!r}" in (await shell.run("imports", "--cancel", name)).out, "it was not begun"
    assert (await shell.run("import", name, "--mode", "remove", "--ttl", "P1D", stdin="x")).code == 1


async def test_an_id_is_of_one_import(shell: Shell, name: str, tmp_path: Path) -> None:
    """Another import, or another list, under a taken id must not put its users on the first one's list."""
    assert "segment_not_found" in await shell.bad("import", name, "--id", name, stdin="x")
    await _segment(shell, name, 1)
    taken = f"{name}-taken"
    assert (await shell.run("import", name, "--id", taken, stdin=f"{name}-0")).code == 0
    assert "id_reused" in await shell.bad("import", name, "--id", taken, "--mode", "remove", stdin=f"{name}-0")

    # a file that breaks off is mended, and changed where it was sent already: as many ids, which proves nothing
    file, ids, mended = tmp_path / "list", [f"{name}-{number}\n" for number in range(12_000)], f"{name}-mended"
    file.write_bytes("".join(ids).encode() + b"\xff\n")
    broken = await shell.bad("import", name, str(file), "--id", mended)
    assert "UTF-8" in broken
    assert f"`segmentation imports --cancel {mended}` drops it" in broken
    file.write_text("".join(["other\n", *ids[1:]]))
    refused = await shell.bad("import", name, str(file), "--id", mended, "--wait")
    assert "id_reused: under this id another list was sent before" in refused
    assert "failed, cancelled" in await shell.good("imports", "--cancel", mended)
