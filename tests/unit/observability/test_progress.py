"""Pulses: who is silent for too long is stuck, who rests is not."""

from __future__ import annotations

from worker.observability.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_silence_is_judged_while_at_work() -> None:
    clock = Clock()
    progress = Progress(60, clock)
    working, resting = progress.watch("working"), progress.watch("resting")
    progress.watch("never begun")
    working.beat()
    resting.beat()
    resting.rest()
    clock.seconds += 60
    assert progress.stuck() == {}
    clock.seconds += 1
    assert progress.stuck() == {"working": 61}
    working.beat()
    assert progress.stuck() == {}
