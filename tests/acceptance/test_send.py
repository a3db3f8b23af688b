"""`send`: one command and a stream of them, with and without waiting."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.acceptance.shell import Shell, ending, interrupted, line_of
from worker.settings import Settings


def command(name: str, data: dict[str, Any], **others: Any) -> str:
    return json.dumps({"type": name, "data": data} | others) + "\n"


async def test_what_becomes_of_a_command_is_told(shell: Shell, name: str) -> None:
    said = await shell.good("send", "segment.create", json.dumps({"segment": name, "owner": "web"}), "--wait")
    assert f"{name}  segment created  owner web" in said
    said = await shell.good("send", "segmentation.user.register.v1", json.dumps({"user_id": name}), "--wait")
    assert f"{name}  registered" in said
    change = json.dumps({"user_id": name, "add": [name]})
    assert f"{name}  +{name}" in await shell.good("send", "membership.change", change, "--wait")
    assert f"={name} as before" in await shell.good("send", "membership.change", change, "--wait")


async def test_a_rejection_is_told_and_fails(shell: Shell, name: str) -> None:
    done = await shell.run("send", "segment.delete", json.dumps({"segment": name}), "--wait")
    assert done.code == 1
    assert "rejected segment_not_found" in done.out
    assert name in done.out


async def test_without_waiting_the_id_is_told(shell: Shell, name: str) -> None:
    data = json.dumps({"user_id": name})
    assert await shell.good("send", "user.register", data, "--id", name) == f"sent user.register {name}\n"
    said = await shell.good("watch", "--from-beginning", "--user", name, "--count", "1", "--timeout", "30")
    assert json.loads(said)["causationid"] == name


async def test_what_was_decided_before_is_told_at_once(shell: Shell, name: str) -> None:
    """A repeated command has no outcome to wait for; PostgreSQL remembers what it was."""
    words = ("send", "user.register", json.dumps({"user_id": name}), "--id", name, "--wait")
    await shell.good(*words)
    said = await shell.good(*words, "--timeout", "600")
    assert said.startswith(f"applied before: user.register {name} of /segmentation/send")
    done = await shell.run("send", "user.register", json.dumps({"user_id": f"{name}2"}), "--id", name, "--wait")
    assert done.code == 1
    assert "rejected id_reused" in done.out
    words = ("send", "user.forget", json.dumps({"user_id": f"{name}2"}), "--id", f"{name}2", "--wait")
    assert "rejected user_not_found" in (await shell.run(*words)).out
    done = await shell.run(*words)
    assert done.code == 1
    assert done.out.startswith("rejected before: user_not_found")


async def test_without_postgresql_a_repeated_command_is_waited_for(shell: Shell, name: str) -> None:
    words = ("send", "user.register", json.dumps({"user_id": name}), "--id", name, "--wait")
    await shell.good(*words)
    elsewhere = shell.having(SEGMENTATION_DATABASE_URL="postgresql://postgres@127.0.0.1:1/none")
    said = await elsewhere.bad(*words, "--timeout", "1")
    assert f"no outcome of {name} within 1 s" in said
    assert "was decided before, which could not be looked up: PostgreSQL at" in said


async def test_outcomes_are_matched_by_source_and_id(shell: Shell, name: str) -> None:
    """Two sources may choose the same id."""
    lines = [
        command("user.register", {"user_id": name}, id=name, source="/one"),
        command("user.forget", {"user_id": f"{name}2"}, id=name, source="/two"),
    ]
    done = await shell.run("send", "-", "--wait", stdin="".join(lines))
    assert done.code == 1
    assert done.out == "2 sent: 1 applied, 0 unchanged, 1 rejected\n"


async def test_from_powershell(shell: Shell, name: str) -> None:
    """It writes a byte order mark before UTF-8, and UTF-16 into files."""
    for number, encoding in enumerate(("utf-8-sig", "utf-16")):
        text = command("user.register", {"user_id": f"{name}{number}é"}).replace("\n", "\r\n") * 2
        assert await shell.good("send", "-", "--wait", stdin=text.encode(encoding)) == (
            "2 sent: 2 applied, 0 unchanged, 0 rejected\n"
        )


async def test_to_a_terminal_of_windows(shell: Shell, name: str) -> None:
    data = json.dumps({"user_id": f"{name}✓"})
    said = await shell.having(PYTHONIOENCODING="cp1252").good("send", "user.register", data, "--wait")
    assert f"{name}\\u2713  registered" in said


async def test_without_a_broker(shell: Shell) -> None:
    elsewhere = shell.having(SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    for words in (["send", "user.register", '{"user_id": 1}'], ["send", "-", "--wait"]):
        said = await elsewhere.bad(*words)
        assert len(said.splitlines()) == 1, said
        assert "127.0.0.1:1" in said


async def test_a_stream_is_counted(shell: Shell, name: str) -> None:
    lines = [command("segment.create", {"segment": name})]
    lines += [command("user.register", {"user_id": f"{name}.{n}"}) for n in range(2_000)]
    assert await shell.good("send", "-", "--wait", stdin="".join(lines)) == (
        "2,001 sent: 2,001 applied, 0 unchanged, 0 rejected\n"
    )
    lines = [command("membership.change", {"user_id": f"{name}.{n}", "add": [name]}) for n in range(20)]
    lines += [command("membership.change", {"user_id": f"{name}.{n}", "add": [name]}) for n in range(5)]
    lines += [command("membership.query", {"user_id": f"{name}.0"}, source="/somewhere", id="q1" + name)]
    lines += [command("membership.change", {"user_id": f"{name}.x", "add": [name]})] * 2
    done = await shell.run("send", "-", "--wait", stdin="\n" + "".join(lines))
    assert done.code == 1
    assert done.out == "28 sent: 20 applied, 5 unchanged, 2 rejected, 1 answered\n"


async def test_wrong_lines_are_told_and_the_others_sent(shell: Shell, name: str) -> None:
    good = command("user.register", {"user_id": name})
    wrong = ["hello\n", "[]\n", '{"type": "user.register"}\n', command("user.register", {"user_id": ""}), '{"a": 1}\n']
    done = await shell.run("send", "-", "--wait", stdin=good + "".join(wrong) + good.rstrip())
    assert done.code == 1
    assert done.out == "2 sent: 2 applied, 0 unchanged, 0 rejected\n"
    said = done.err.splitlines()
    assert [line.split(":")[0] for line in said] == ["line 2", "line 3", "line 4", "line 5", "line 6", "error"]
    assert "data.user_id must be text" in said[3]
    assert said[-1] == "error: 5 lines were no command, and not sent"


async def test_many_wrong_lines_are_only_counted(shell: Shell) -> None:
    done = await shell.run("send", "-", stdin="?\n" * 100)
    assert done.out == "0 sent\n"
    assert len(done.err.splitlines()) == 22
    assert "error: 100 lines were no command, and not sent" in done.err


async def test_a_stream_sent_again(shell: Shell, name: str) -> None:
    """What was decided before, and what stands in it twice, is not waited for."""
    lines = "".join(command("user.register", {"user_id": f"{name}{n}"}, id=f"{name}{n}") for n in range(50))
    wrong = command("user.forget", {"user_id": f"{name}x"}, id=f"{name}x")
    done = await shell.run("send", "-", "--wait", stdin=lines + wrong)
    assert done.out == "51 sent: 50 applied, 0 unchanged, 1 rejected\n"
    new = command("user.register", {"user_id": name}, id=name) * 3
    other = command("user.register", {"user_id": f"{name}y"}, id=name)
    done = await shell.run("send", "-", "--wait", "--timeout", "600", stdin=lines + wrong + new + other)
    assert done.code == 1
    assert done.out == "55 sent: 1 applied, 0 unchanged, 2 rejected, 52 repeated\n"
    assert done.err == ""


async def test_lines_are_sent_as_they_come(shell: Shell, name: str) -> None:
    async with (
        ending(await shell.start("watch", "--user", name)) as watching,
        ending(await shell.start("send", "-", "--wait")) as sending,
    ):
        assert sending.stdin is not None
        assert watching.stdout is not None
        for n in range(2):
            sending.stdin.write(command("user.register", {"user_id": name}, id=f"{name}{n}").encode())
            await sending.stdin.drain()
            if n == 0:
                await _seen(shell, name)
        sending.stdin.close()
        assert "2 sent: 2 applied" in await line_of(sending.stdout)


async def _seen(shell: Shell, name: str) -> None:
    await shell.good("watch", "--from-beginning", "--user", name, "--count", "1", "--timeout", "30")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_silent_input_does_not_keep_it(shell: Shell, name: str, number: signal.Signals) -> None:
    async with ending(await shell.start("send", "-")) as sending:
        assert sending.stdin is not None
        sending.stdin.write(command("user.register", {"user_id": name}).encode())
        await sending.stdin.drain()
        await _seen(shell, name)
        assert await interrupted(sending, number) == 1


async def test_without_topics_it_says_how_to_make_them(empty: Settings) -> None:
    shell = Shell.of(empty)
    for words in (["send", "user.register", '{"user_id": 1}'], ["send", "-", "--wait"], ["query", "ada"], ["watch"]):
        assert "run `segmentation topics`" in await shell.bad(*words)


async def test_without_a_worker_it_says_so(settings: Settings, topics: list[str]) -> None:
    shell = Shell.of(settings)
    said = await shell.bad("send", "user.register", '{"user_id": 1}', "--wait", "--timeout", "0.5")
    assert "no worker runs" in said
    assert "does a worker run" in await shell.bad("query", "ada", "--timeout", "0.5")
