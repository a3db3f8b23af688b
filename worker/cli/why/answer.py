"""Why a user is in a segment or not: the answer, as a function of the facts alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.cli.console import percent_text, plain
from worker.cli.render import moment
from worker.cli.why.facts import Change, Facts, Generation, Membership

FORGOTTEN = "user_forgotten"
SAID = ("command", "import")
"""The reasons of changes that a person or a program has asked for about this very user."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is for programs, `why` for people; `cause` is the journal's row that decided it, where there is one."""

    is_in: bool
    code: str
    why: str
    cause: Change | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_for_good: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """The last change that counts, until when it was to last, and what left all as it was since then."""

    last: Change | None
    until: datetime | None
    unchanged: tuple[Change, ...]


def sentence(facts: Facts, answer: Answer) -> str:
    """The answer in one line."""
    text = f"{plain(facts.user_id)} is {'in' if answer.is_in else 'not in'} {plain(facts.segment)}"
    if answer.since:
        text += f" since {moment(answer.since)}"
    if answer.until:
        text += f", until {moment(answer.until)}"
    elif answer.is_for_good:
        text += ", for good"
    return f"{text}: {answer.why}."


def answer(facts: Facts) -> Answer:
    """What holds at `facts.asked_at`, and what made it so."""
    newest = facts.newest
    trace = traced(facts, newest)
    if facts.registered_at is None:
        return _not_known(trace.last)
    if newest.deleted_at is not None:
        return _deleted(newest, newest.deleted_at, trace)
    if newest.is_active and newest.membership is not None:
        return _in(facts, newest, newest.membership, trace)
    if newest.membership is not None:
        return _put_out(facts, newest, newest.membership, trace)
    return _without_row(facts, newest, trace)


def traced(facts: Facts, generation: Generation) -> Trace:
    """The changes of that generation; forgetting the user ends all, whether the row names the segment or not."""
    last, until, unchanged = None, None, list[Change]()
    for change in facts.changes:
        if change.reason != FORGOTTEN and change.segment_key != generation.segment_key:
            continue
        if change.what == "unchanged":
            unchanged.append(change)
            continue
        last, unchanged = change, []
        if change.what in ("entered", "renewed"):
            until = change.expires_at
    return Trace(last, until, tuple(unchanged))


def place(generation: Generation) -> str:
    """The user's bucket beside the segment's percent."""
    percent = generation.percent
    if percent is None:
        return "the segment has no percent"
    if percent == 0:
        return "its percent is 0"
    last = int(percent * 100) - 1
    side = "among" if generation.is_inside else "outside"
    buckets = f"buckets 0–{last}" if last else "bucket 0"
    return f"bucket {generation.bucket} is {side} the first {percent_text(percent)} %, {buckets}"


def by(change: Change) -> str:
    """The command that it came from."""
    if change.reason == "import":
        return f"the import that the command {plain(change.command_id)} of {plain(change.command_source)} committed"
    return f"the command {plain(change.command_id)} of {plain(change.command_source)}"


def _not_known(last: Change | None) -> Answer:
    if last is not None and last.reason == FORGOTTEN:
        return Answer(False, "forgotten", f"forgotten at {moment(last.time)} by {by(last)}", last)
    return Answer(False, "unknown", "the user is not known", last)


def _deleted(generation: Generation, at: datetime, trace: Trace) -> Answer:
    why = f"the segment was deleted at {moment(at)}"
    row = generation.membership
    if trace.last is not None and trace.last.reason == "segment_deleted":
        why += ", and the user was in it until then"
    elif row is not None and row.is_included and not (row.expires_at and row.expires_at <= at):
        why += ", and the user was in it until then (the event is yet to come)"
    return Answer(False, "segment_deleted", why, trace.last)


def _in(facts: Facts, generation: Generation, row: Membership, trace: Trace) -> Answer:
    if row.expires_at is not None and row.expires_at <= facts.asked_at:
        why = f"its own time was over at {moment(row.expires_at)}, and it goes on by its percent: {place(generation)}"
        return Answer(True, "percent_after_expiry", why, trace.last, row.since)
    if row.origin == "rollout":
        return _rolled_out(generation, row, trace)
    last = trace.last
    if last is not None and last.reason in SAID and last.what == "entered":
        cause, why = last, f"added by {by(last)}"
    elif last is not None and last.reason in SAID and last.what == "renewed":
        cause, why = last, f"renewed at {moment(last.time)} by {by(last)}"
    elif trace.unchanged:
        cause = trace.unchanged[0]
        why = f"{by(cause)} added it at {moment(cause.time)} though it was in, so no percent ends it"
    else:
        return Answer(True, "added", f"added by a command{_lost(facts)}", None, row.since, row.expires_at, True)
    return Answer(True, "added", why, cause, row.since, row.expires_at, True)


def _rolled_out(generation: Generation, row: Membership, trace: Trace) -> Answer:
    last, rollout = trace.last, generation.rollout
    if generation.is_inside:
        over = last is not None and last.reason == "expiry" and last.what == "renewed"
        code = "percent_after_expiry" if over else "percent"
        why = f"by its percent: {place(generation)}"
        if over and last is not None:
            why = f"its own time was over at {moment(last.time)}, and it goes on by its percent: {place(generation)}"
        return Answer(True, code, why, last, row.since)
    if rollout is not None and rollout.is_awaited:
        does = "leave it in" if rollout.on_decrease == "keep" else "end it"
        why = (
            f"by an earlier percent; {place(generation)}, and the rollout that began at {moment(rollout.requested_at)}"
        )
        return Answer(True, "rollout_pending", f"{why} is yet to {does}", last, row.since)
    return Answer(
        True, "kept", f"by an earlier percent, and kept when that shrank; {place(generation)}", last, row.since
    )


def _put_out(facts: Facts, generation: Generation, row: Membership, trace: Trace) -> Answer:
    if row.is_included and row.expires_at is not None:
        why = f"expired at {moment(row.expires_at)} (the event is yet to come"
        if generation.expiry_error:
            why += f", as ending it has failed: {plain(generation.expiry_error)}"
        return Answer(False, "expired", f"{why}); {place(generation)}", trace.last)
    kept = "and so kept out of any percent until a command adds the user again"
    last = trace.last
    if last is not None and last.what == "exited" and last.reason in SAID:
        return Answer(False, "removed", f"removed at {moment(last.time)} by {by(last)}, {kept}", last)
    if trace.unchanged:
        cause = trace.unchanged[0]
        why = f"removed at {moment(cause.time)} by {by(cause)}, though not in then, {kept}"
        return Answer(False, "removed", why, cause)
    why = f"removed at {moment(row.since)} by a command{_lost(facts)}, {kept}"
    return Answer(False, "removed", why)


def _without_row(facts: Facts, generation: Generation, trace: Trace) -> Answer:
    code, why = _past(facts, trace)
    rollout = generation.rollout
    if not generation.is_inside:
        if code == "never_added" and generation.percent is not None:
            code = "outside_percent"
        why += f"; {place(generation)}"
    elif rollout is not None and rollout.is_awaited:
        code = "rollout_pending"
        why += f"; {place(generation)}, but the rollout that began at {moment(rollout.requested_at)}"
        why += " has not reached the user yet"
    else:
        code = "unexplained"
        why += f"; {place(generation)}, so the user should be in: tell the developers"
    return Answer(False, code, why, trace.last)


def _past(facts: Facts, trace: Trace) -> tuple[str, str]:
    """Code and words for what went before a state without a row."""
    last = trace.last
    if last is None:
        return "never_added", _never(facts)
    at = moment(last.time)
    if last.reason == FORGOTTEN:
        again = f"registered again at {moment(facts.registered_at)}" if facts.registered_at else "not known"
        return "forgotten_before", f"forgotten at {at} by {by(last)}, {again}, and not added since"
    if last.reason == "expiry" and last.what == "exited":
        return "expired", f"expired at {moment(trace.until or last.time)}"
    if last.reason == "import" and last.what == "exited":
        return "removed", f"removed at {at} by {by(last)}, as the user was not on its list"
    if last.reason == "rollout" and last.what == "exited":
        return "released", f"left at {at}, when its percent shrank"
    return "unexplained", f"the journal says {last.what} at {at} ({last.reason}), and no row holds it"


def _never(facts: Facts) -> str:
    why = "never added"
    if not facts.is_whole and facts.told_from is not None:
        why = f"not added since {moment(facts.told_from)}, where the journal that was read begins"
    before = {one.segment_key: one for one in facts.generations[:-1]}
    gone = [before[one.segment_key] for one in facts.changes if one.segment_key in before and one.what == "entered"]
    if gone and gone[-1].deleted_at is not None:
        why += (
            f" to this segment (the one of that name that the user was in was deleted at {moment(gone[-1].deleted_at)})"
        )
    return why


def _lost(facts: Facts) -> str:
    if facts.is_whole or facts.told_from is None:
        return ", of which the journal does not tell"
    return f" before {moment(facts.told_from)}, where the journal that was read begins"
