"""The database refuses one command of a batch for a reason of its own: that one fails, the others go through."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.line import line, working
from worker.errors import Unavailable
from worker.postgres.session import Session
from worker.settings import Settings

REFUSING = """
create function refuse() returns trigger language plpgsql as $$
begin
    if exists (select from segments s where s.segment_key = new.segment_key and s.segment = 'cursed') then
        raise exception 'this row is cursed';
    end if;
    return new;
end $$;
create trigger refuse before insert on memberships for each row execute function refuse()
"""
USERS = 25


async def test_one_command_fails_alone(settings: Settings, topics: list[str]) -> None:
    """All changes are sent while no worker runs, so they come as few batches; order holds for the cursed users too."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute(REFUSING)
    await connection.close()
    cursed = {"u3", "u17"}
    async with line(settings) as outside:
        sent: dict[str, list[str]] = {}
        created = [await outside.send("segment.create", {"segment": segment}) for segment in ("good", "cursed")]
        async with working(settings):
            for command in created:
                await outside.outcome(command)
        for number in range(USERS):
            user = f"u{number}"
            change = {"user_id": user, "add": ["cursed" if user in cursed else "good"]}
            sent[user] = [
                await outside.send("user.register", {"user_id": user}),
                await outside.send("membership.change", change),
                await outside.send("membership.change", {"user_id": user, "remove": ["good"]}),
            ]
        async with working(settings):
            for user, commands in sent.items():
                outcomes = [await outside.outcome(command) for command in commands]
                kinds = [one.type for one in outcomes]
                if user in cursed:
                    assert kinds == ["membership.changed", "command.rejected", "membership.changed"]
                    assert outcomes[1].data["code"] == "failed"
                    assert "this row is cursed" in outcomes[1].data["message"]
                else:
                    assert kinds == ["membership.changed"] * 3
                    assert [item["segment"] for item in outcomes[2].data["exited"]] == ["good"]
                assert [int(one.event["sequence"]) for one in outcomes] == sorted(
                    int(one.event["sequence"]) for one in outcomes
                )


@pytest.mark.parametrize("is_committed", [False, True])
async def test_the_connection_is_lost_in_commit(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    """Nobody knows what became of it: the positions tell, and nothing is applied twice or not at all."""
    lost: list[str] = []
    commit = asyncpg.transaction.Transaction.commit

    async def losing(transaction: asyncpg.transaction.Transaction) -> None:
        connection = transaction._connection  # type: ignore[attr-defined] # asyncpg's own name
        name = connection.get_settings().application_name
        if not name.startswith("segmentation apply") or len(lost) >= 6:
            await commit(transaction)
            return
        lost.append(name)
        if is_committed:
            await commit(transaction)
        connection.terminate()
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    monkeypatch.setattr(asyncpg.transaction.Transaction, "commit", losing)
    async with line(settings) as outside, working(settings):
        for number in range(10):
            one = await outside.ask("user.register", {"user_id": f"u{number}"})
            assert int(one.event["sequence"]) == number + 1
    assert len(lost) == 6


async def test_a_deadlock_is_tried_again(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = Session.fetch
    failed: list[str] = []

    async def failing(session: Session, name: str, *arguments: object) -> list[asyncpg.Record]:
        if name == "memberships_change" and len(failed) < 3:
            failed.append(name)
            raise Unavailable("deadlock detected")
        return await fetch(session, name, *arguments)

    monkeypatch.setattr(Session, "fetch", failing)
    async with line(settings) as outside, working(settings):
        await outside.ask("segment.create", {"segment": "a"})
        await outside.ask("user.register", {"user_id": "u"})
        said = await outside.ask("membership.change", {"user_id": "u", "add": ["a"]})
        assert [item["segment"] for item in said.data["entered"]] == ["a"]
    assert len(failed) == 3
