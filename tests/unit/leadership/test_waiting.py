"""Who waits for a leader's lock says so once, then rarely."""

from __future__ import annotations

from worker.leadership.election import WAITING_SECONDS, WAITING_SECONDS_AGAIN, Waiting


def test_it_is_said_once_and_then_rarely() -> None:
    now = 100.0
    waiting = Waiting(lambda: now)
    assert not waiting.is_long()
    now += WAITING_SECONDS
    assert waiting.seconds() == WAITING_SECONDS
    assert [waiting.is_long() for _ in range(3)] == [True, False, False]
    now += WAITING_SECONDS_AGAIN
    assert [waiting.is_long() for _ in range(2)] == [True, False]
