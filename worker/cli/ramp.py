"""`ramp`: a segment's percent raised step by step, by a command for each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from schemas.times import duration, rfc3339
from schemas.values import shown
from worker.cli.console import complain, counted, percent_text, typed_percent
from worker.cli.instants import instant
from worker.cli.outcomes import Outcomes, silence
from worker.cli.sender import Prepared, Sender, make
from worker.cli.tail import tail
from worker.errors import ConfigurationError, WorkerError
from worker.settings import load

STEPS_MAX = 1_000
LATE_MAX = timedelta(minutes=1)
"""A first step that is as late as this still counts as now: a person has to type the command."""
NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Ramp:
    """What `ramp` was told, as it was typed."""

    segment: str
    percents: str
    every: str
    begin: str | None


async def ramp(wanted: Ramp, source: str, wait_seconds: float) -> bool:
    """Send the first step, and the others once it was taken; False where one was rejected or has no outcome in time.

    All of them are checked before the first is sent. A first step that is rejected, as where there is no such segment,
    leaves nothing behind that would take effect later.
    """
    settings, name = load(), f"ramp-{uuid4().hex[:8]}"
    commands = [
        make(step | {"id": f"{name}-{number}"}, source, settings.record_bytes_max)
        for number, step in enumerate(steps(wanted, datetime.now(UTC)), 1)
    ]
    first, others = commands[0], commands[1:]
    async with tail(settings) as reading, Sender(settings) as sender:
        outcomes = Outcomes(reading, sender, wait_seconds)
        await outcomes.send([first])
        if outcomes.is_rejected(first):
            complain("the first step was rejected: nothing is scheduled, and no other step was sent")
            return False
        if outcomes.type_of(first) is None:
            complain(f"{silence(wait_seconds)}. Only the first step, {first.id}, was sent, and may still be decided")
            return False
        try:
            await outcomes.send(others)
        except WorkerError as error:
            complain(str(error))
    return _judge(wanted.segment, commands, outcomes, wait_seconds)


def _judge(segment: str, commands: Sequence[Prepared], outcomes: Outcomes, wait_seconds: float) -> bool:
    """Whether all steps were taken; where not, say which are scheduled all the same, and how they are taken back."""
    rejected = [one for one in commands if outcomes.is_rejected(one)]
    silent = [one for one in commands if outcomes.type_of(one) is None]
    scheduled = [one for one in commands if outcomes.type_of(one) == "command.scheduled"]
    if rejected:
        complain(f"{len(rejected):,} of {counted(len(commands), 'steps')} were rejected")
    if silent:
        complain(f"{len(silent):,} of {counted(len(commands), 'steps')} have {silence(wait_seconds)}")
        complain(f"without an outcome, so that they may still be scheduled: {_named(silent)}")
    if (rejected or silent) and scheduled:
        complain(f"scheduled all the same: {_named(scheduled)}")
    if silent or (rejected and scheduled):
        complain(
            f"`segmentation schedule --segment {segment}` lists what is scheduled, and `segmentation unschedule ID` "
            "takes a step back"
        )
    return not (rejected or silent)


def _named(commands: Sequence[Prepared]) -> str:
    more = f" and {len(commands) - NAMED_MAX:,} more" if len(commands) > NAMED_MAX else ""
    return ", ".join(command.id for command in commands[:NAMED_MAX]) + more


def steps(wanted: Ramp, now: datetime) -> list[dict[str, Any]]:
    """A command for each step, by the calendar from the first one; raises ConfigurationError."""
    begin = now if wanted.begin is None else instant(wanted.begin, "--from", now)
    every = duration(wanted.every)
    if isinstance(every, str):
        raise ConfigurationError(f"--every must be {every}, is {shown(wanted.every)}")
    percents = [_percent(text.strip()) for text in wanted.percents.split(",")]
    if len(percents) > STEPS_MAX:
        raise ConfigurationError(f"a ramp has at most {STEPS_MAX:,} steps, this one has {len(percents):,}")
    try:
        instants = [begin + every * number for number in range(len(percents))]
    except (ValueError, OverflowError):
        raise ConfigurationError(
            "--every leads beyond the year 9999; a command takes effect at most 2 years ahead"
        ) from None
    _hold_to_come(wanted, percents, instants, now)
    return [
        {
            "type": "segment.update",
            "data": {"segment": wanted.segment, "percent": percent},
            "effectiveat": rfc3339(at),
        }
        for percent, at in zip(percents, instants, strict=True)
    ]


def _hold_to_come(wanted: Ramp, percents: Sequence[Decimal], instants: Sequence[datetime], now: datetime) -> None:
    """A wrong year must not apply several steps, or all of them, at once; raises ConfigurationError."""
    due = sum(at <= now for at in instants)
    if now - instants[0] <= LATE_MAX or due <= 1:
        return
    raise ConfigurationError(
        f"--from {wanted.begin} is past, and {due:,} of {len(percents):,} steps would take effect at once, up to "
        f"{percent_text(percents[due - 1])} %: write an instant that is yet to come, such as "
        f"{rfc3339(_next_hour(now))} or P1D, or leave --from out to begin now"
    )


def _next_hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _percent(text: str) -> Decimal:
    percent = typed_percent(text)
    if percent is None:
        raise ConfigurationError(
            f"PERCENTS must be numbers from 0 to 100 with two decimals at most, such as 1,5,25,100; "
            f"{shown(text)} is none"
        )
    return percent
