"""A user can't be in so many segments that an event about it could not be sent."""

from __future__ import annotations

from typing import Any

from tests.support.events import active
from tests.support.line import Line, Said, line, working
from worker.settings import Settings

LIMIT = 3


async def test_memberships_of_a_user(settings: Settings, topics: list[str]) -> None:
    """What makes them more than the limit is refused as a whole; what does not, goes through."""
    limited = settings.model_copy(update={"segments_of_user_max": LIMIT})
    async with line(limited) as outside, working(limited):
        for number in range(LIMIT + 2):
            await outside.ask("segment.create", {"segment": f"s{number}"})
        for user in "ab":
            await outside.ask("user.register", {"user_id": user})
        await _change(outside, "a", add=["s0", "s1"])
        refused = await _change(outside, "a", add=["s2", "s3"])
        assert refused.data["code"] == "too_many_segments"
        assert "would be in 4 segments; at most 3" in refused.data["message"]
        assert [error["field"] for error in refused.data["errors"]] == ["data.add"]
        assert await active(limited, "a") == ["s0", "s1"]
        for change in ({"add": ["s1", "s2"]}, {"add": ["s0"], "ttl": "P1D"}, {"add": ["s3"], "remove": ["s2"]}):
            assert (await _change(outside, "a", **change)).type == "membership.changed"
        assert (await _change(outside, "a", add=["s4"], remove=["s2"])).data["code"] == "too_many_segments"
        assert (await _change(outside, "b", add=["s4"])).type == "membership.changed"
        assert await active(limited, "a") == ["s0", "s1", "s3"]


async def test_those_on_a_list(settings: Settings, topics: list[str]) -> None:
    """Who is in as many segments as allowed is left out, and counted; all others are taken."""
    limited = settings.model_copy(update={"segments_of_user_max": 1})
    async with line(limited) as outside, working(limited):
        for segment in ("s0", "s1"):
            await outside.ask("segment.create", {"segment": segment})
        for user in "ab":
            await outside.ask("user.register", {"user_id": user})
        await _change(outside, "a", add=["s0"])
        await outside.ask("import.begin", {"import": "i", "segment": "s1", "mode": "add"})
        await outside.ask("import.users", {"import": "i", "user_ids": ["a", "b"]})
        await outside.send("import.commit", {"import": "i"})
        said = await outside.until(lambda said: any(one.type == "import.completed" for one in said))
        (done,) = [one.data for one in said if one.type == "import.completed"]
        assert (done["entered"], done["too_many_segments"], done["too_many_segments_sample"]) == (1, 1, ["a"])
        assert (await active(limited, "a"), await active(limited, "b")) == (["s0"], ["s1"])


async def test_segments_with_a_percent(settings: Settings, topics: list[str]) -> None:
    """Each can hold every user, so they are limited as well; who has one may change it, and 0 gives room."""
    limited = settings.model_copy(update={"segments_of_user_max": LIMIT})
    async with line(limited) as outside, working(limited):
        for number in range(LIMIT):
            await outside.ask("segment.create", {"segment": f"s{number}", "percent": 100})
        refused = await outside.ask("segment.create", {"segment": "more", "percent": 1})
        assert refused.data["code"] == "too_many_segments"
        assert [error["field"] for error in refused.data["errors"]] == ["data.percent"]
        assert (await outside.ask("segment.create", {"segment": "more", "percent": 0})).type == "segment.created"
        for data, code in (
            ({"segment": "more", "percent": 1}, "too_many_segments"),
            ({"segment": "s0", "percent": 50}, None),
            ({"segment": "s0", "percent": 0}, None),
            ({"segment": "more", "percent": 1}, None),
        ):
            assert (await outside.ask("segment.update", data)).data.get("code") == code


async def _change(outside: Line, user: str, **change: Any) -> Said:
    return await outside.ask("membership.change", {"user_id": user} | change)
