"""What can go wrong with one request, chosen beforehand by its number."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Fault(enum.Enum):
    """What happens to a request."""

    INTERNAL_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    TOO_MANY_REQUESTS = "429 with Retry-After"
    RATE_LIMIT = "403 rateLimitExceeded"
    USER_RATE_LIMIT = "403 userRateLimitExceeded"
    UNAUTHORIZED = "401, as the token has expired"
    NOT_READ = "the connection is cut before the request is read"
    NOTHING_TAKEN = "the connection is cut in mid-chunk, and nothing of it is kept"
    PART_TAKEN = "the connection is cut in mid-chunk, and the first part of it is kept"
    PART_ACKNOWLEDGED = "only the first part of the chunk is taken, and the answer says so"
    NOT_ANSWERED = "it is done, and the connection is cut before the answer"
    CLOSED = "it is done, and the connection is closed in good order before the answer"
    SLOW = "it is done, and the answer comes after the client's patience"
    SESSION_NOT_FOUND = "404, as the upload's session is lost"
    SESSION_GONE = "410, as the upload's session is lost"


OF_CHUNKS = frozenset(
    {
        Fault.NOTHING_TAKEN,
        Fault.PART_TAKEN,
        Fault.PART_ACKNOWLEDGED,
        Fault.SESSION_NOT_FOUND,
        Fault.SESSION_GONE,
    }
)
"""These happen to requests of an upload's session only."""
STATUSES = {
    Fault.INTERNAL_ERROR: (500, "internalError"),
    Fault.BAD_GATEWAY: (502, "badGateway"),
    Fault.UNAVAILABLE: (503, "backendError"),
    Fault.TOO_MANY_REQUESTS: (429, "rateLimitExceeded"),
    Fault.RATE_LIMIT: (403, "rateLimitExceeded"),
    Fault.USER_RATE_LIMIT: (403, "userRateLimitExceeded"),
}


@dataclass
class Request:
    """As it came."""

    verb: str
    path: str
    is_of_session: bool


@dataclass
class Faults:
    """Counts the requests from the last `plan` on."""

    slow_seconds: float = 0.6
    requests: list[Request] = field(default_factory=list)
    _planned: dict[int, Fault] = field(default_factory=dict)
    _always: Fault | None = None
    _only_sessions: bool = False

    def plan(self, *faults: tuple[int, Fault], always: Fault | None = None, only_sessions: bool = False) -> None:
        """For the requests with these numbers, the next one being number 0; or for all of them.

        With `only_sessions`, requests that are not of an upload's session are spared.
        """
        self.requests, self._planned = [], dict(faults)
        self._always, self._only_sessions = always, only_sessions

    def next(self, request: Request) -> Fault | None:
        """What happens to this one."""
        number = len(self.requests)
        self.requests.append(request)
        fault = self._planned.get(number, self._always)
        is_spared = self._only_sessions or fault in OF_CHUNKS
        return fault if request.is_of_session or not is_spared else None
