"""Months to render: a busy one, and what is at the edges."""

from __future__ import annotations

import calendar
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from random import Random
from uuid import UUID

from worker.reports.page.summary import SEGMENTS_SHOWN_MAX, Flow, SegmentFlow, Summary

NAMES = (
    "checkout.one-click",
    "discount:welcome-10",
    "newsletter",
    "exp:pricing-page:b",
    "beta",
    "discount:black-friday",
    "feature:dark-mode",
    "exp:search-ranking:treatment",
    "trial",
    "vip",
    "feature:instant-refunds",
    "exp:onboarding-2026-q1:short",
    "region.eu-west",
    "discount:student",
    "internal.staff",
    "feature:saved-baskets",
)
SHARES = {
    "command": (0.46, 0.41),
    "rollout": (0.37, 0.08),
    "user_registered": (0.17, 0.0),
    "expiry": (0.0, 0.31),
    "segment_deleted": (0.0, 0.15),
    "user_forgotten": (0.0, 0.05),
}


def busy() -> Summary:
    """A month as a shop of some size has it; the sums are right."""
    chance = Random(2026)
    segments = [_segment(name, place, chance) for place, name in enumerate(NAMES)]
    return _month(2026, 3, segments, chance)


def empty() -> Summary:
    """Nothing happened, and nobody is a member of anything."""
    return replace(quiet(), segments=[], active=0)


def quiet() -> Summary:
    """Nothing happened, but there are members."""
    still = [replace(segment, flow=Flow(0, 0, 0)) for segment in busy().segments if not segment.is_deleted]
    return replace(busy(), rows=0, total=Flow(0, 0, 0), days=[], reasons=[], file_bytes=96, segments=still)


def partial() -> Summary:
    """The month is still running."""
    chance = Random(2026)
    segments = [_segment(name, place, chance) for place, name in enumerate(NAMES)]
    made_at = datetime(2026, 3, 14, 9, 30, 12, tzinfo=UTC)
    return replace(_month(2026, 3, segments, chance, made_at.day), is_partial=True, made_at=made_at)


def many() -> Summary:
    """As many segments as a page shows, and more behind them."""
    chance = Random(7)
    segments = [_segment(f"exp:{place:03}:treatment", place, chance) for place in range(SEGMENTS_SHOWN_MAX)]
    summary = _month(2026, 2, segments, chance)
    others = SegmentFlow("", "", False, Flow(4_321, 1_234, 56), 9_876)
    return replace(summary, others=others, others_count=1_357)


def hostile() -> Summary:
    """Names and links that want to be markup, and numbers and names as long as they get."""
    names = (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='alert(1)",
        "$\\frac{a}{b}$ & {{ 7 * 7 }} {% raw %}",
        "x" * 255,
        "名前" * 100,
        "a\x00b\x1b[31mc\u202ed",
    )
    flow = Flow(123_456_789_012, 98_765_432_109, 11_111_111_111)
    segments = [SegmentFlow(name, f'id"<b>{place}', place % 2 == 1, flow, 10**12) for place, name in enumerate(names)]
    return replace(
        busy(),
        source="/<b>shop</b>/" + "long" * 60,
        segments=segments,
        total=flow,
        active=7 * 10**12,
        rows=10**12,
        file_bytes=10**14,
        file_name='"><script>.csv',
        file_link="javascript:alert(1)",
        reasons=[("<i>new</i>", flow), ("new_reason_" + "y" * 100, flow)],
        days=[(date(2026, 3, 31), flow)],
    )


def _segment(name: str, place: int, chance: Random) -> SegmentFlow:
    size = 42_000 * math.exp(-place / 4) + 60
    entered, exited = round(size * chance.uniform(0.5, 1.2)), round(size * chance.uniform(0.2, 0.9))
    is_deleted = place % 9 == 5
    segment_id = str(UUID(int=chance.getrandbits(128), version=4))
    renewed, active = round(size * chance.uniform(0, 0.2)), 0 if is_deleted else round(size * 6)
    return SegmentFlow(name, segment_id, is_deleted, Flow(entered, exited, renewed), active)


def _month(year: int, month: int, segments: Sequence[SegmentFlow], chance: Random, days_gone: int = 31) -> Summary:
    entered, exited, renewed = (
        sum(getattr(segment.flow, word) for segment in segments) for word in ("entered", "exited", "renewed")
    )
    days = [date(year, month, day) for day in range(1, calendar.monthrange(year, month)[1] + 1)]
    days = days[:days_gone]
    busyness = [chance.uniform(0.7, 1.2) * (0.55 if day.weekday() > 4 else 1) for day in days]
    busyness[9] *= 2.6
    leaving = [chance.uniform(0.6, 1.4) for _ in days]
    leaving[-7] *= 3.2
    flows = zip(_split(entered, busyness), _split(exited, leaving), _split(renewed, [1.0 for _ in days]), strict=True)
    parts_entered = _split(entered, [share for share, _ in SHARES.values()])
    parts_exited = _split(exited, [share for _, share in SHARES.values()])
    kept = [renewed if reason == "command" else 0 for reason in SHARES]
    return Summary(
        year=year,
        month=month,
        is_partial=False,
        made_at=datetime(year, month + 1, 1, 0, 17, 42, tzinfo=UTC),
        source="/segmentation",
        rows=entered + exited + renewed,
        file_name=f"segmentation-{year}-{month:02}.csv",
        file_link=f"https://files.example/d/segmentation-{year}-{month:02}.csv",
        file_bytes=(entered + exited + renewed) * 143,
        file_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        total=Flow(entered, exited, renewed),
        active=sum(segment.active for segment in segments),
        segments=sorted(segments, key=lambda segment: -(segment.flow.entered + segment.flow.exited)),
        others=None,
        others_count=0,
        days=[(day, Flow(*flow)) for day, flow in zip(days, flows, strict=True)],
        reasons=[
            (reason, Flow(*flow)) for reason, *flow in zip(SHARES, parts_entered, parts_exited, kept, strict=True)
        ],
    )


def _split(total: int, weights: Sequence[float]) -> Sequence[int]:
    """Whole parts that add up; the first gets what is left over."""
    parts = [int(total * weight / sum(weights)) for weight in weights]
    return [parts[0] + total - sum(parts), *parts[1:]]
