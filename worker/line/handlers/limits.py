"""How many segments a user can be in, so that no event about a user outgrows what Kafka takes.

Commands give a user at most `SEGMENTATION_SEGMENTS_OF_USER_MAX` memberships, and no more segments than that may have a
percent, so rollouts give a user no more than as many again.
"""

from __future__ import annotations

from typing import TypeVar

from schemas.commands import Change, SegmentCreate, SegmentUpdate
from schemas.rejections import FieldError, RejectionCode
from worker.line.batch import ReceivedCommand
from worker.line.handlers.context import Context

T = TypeVar("T", SegmentCreate, SegmentUpdate)


async def within_memberships(context: Context, records: list[ReceivedCommand[Change]]) -> list[ReceivedCommand[Change]]:
    """The commands that leave their users with no more memberships than the limit; the others are refused."""
    limit = context.segments_of_user_max
    if not any(record.what.data.add for record in records):
        return records
    last = (await context.session.row("segments_last"))["segment_key"]
    if last is None or last <= limit:  # there never were so many segments
        return records
    items = [
        (record.what.data.user_id, segment, number, included)
        for number, record in enumerate(records)
        for segment, included in [
            *((segment, True) for segment, _ in record.what.data.add),
            *((segment, False) for segment in record.what.data.remove),
        ]
    ]
    rows = await context.session.fetch("memberships_over", *zip(*items, strict=True), limit)
    over: dict[int, int] = {row["command"]: row["memberships"] for row in rows}
    for number, count in over.items():
        context.refuse(records[number], RejectionCode.TOO_MANY_SEGMENTS, *_too_many(records[number], count, limit))
    return [record for number, record in enumerate(records) if number not in over]


async def within_percents(context: Context, records: list[ReceivedCommand[T]]) -> list[ReceivedCommand[T]]:
    """The commands after which no more segments have a percent than the limit; the others are refused."""
    limit = context.segments_of_user_max
    if not any(record.what.data.percent for record in records):
        return records
    row = await context.session.row("segments_rolled_out", [record.what.data.segment for record in records])
    count, chosen, good = row["count"], set(row["segments"]), []
    for record in records:
        data = record.what.data
        is_more = bool(data.percent) and data.segment not in chosen
        if is_more and count >= limit:
            context.refuse(record, RejectionCode.TOO_MANY_SEGMENTS, *_too_many_percents(count, limit))
            continue
        count += is_more
        good.append(record)
    return good


def _too_many(record: ReceivedCommand[Change], count: int, limit: int) -> tuple[str, list[FieldError]]:
    message = (
        f"User {record.what.data.user_id!r} would be in {count:,} segments; at most {limit:,} are allowed "
        "(SEGMENTATION_SEGMENTS_OF_USER_MAX). Nothing of the command was applied."
    )
    return message, [FieldError("data.add", f"would make it {count:,} segments; at most {limit:,} are allowed")]


def _too_many_percents(count: int, limit: int) -> tuple[str, list[FieldError]]:
    message = (
        f"{count:,} segments have a percent already; at most {limit:,} may (SEGMENTATION_SEGMENTS_OF_USER_MAX), as "
        "each can hold every user. Nothing of the command was applied."
    )
    return message, [FieldError("data.percent", f"may be given to at most {limit:,} segments")]
