"""The errors that this project raises. What the sender of a command must learn is an event, never an error."""

from __future__ import annotations


class WorkerError(Exception):
    """Base of all errors that this project raises on purpose; its text is for the person who runs the worker."""


class ConfigurationError(WorkerError):
    """A setting, a topic or the database is not as it must be; the text says which and how to mend it."""


class Denied(ConfigurationError):
    """The server does not allow a statement, or lacks what it needs. The session goes on."""


class Unavailable(WorkerError):
    """PostgreSQL or Kafka can't be reached or asks for another try; the work is retried with back-off."""


class NotLetIn(Unavailable):
    """The server is there, but the settings do not fit it: a password, a certificate, a protocol, a missing right.

    A worker that runs goes on trying, as with all that is Unavailable; one that starts ends, for a person must act.
    """


class Hindered(Unavailable):
    """The server answers that it can't do it, for whatever reason. The session goes on."""


class Strained(Hindered):
    """An error that is mostly of the server's state: a deadlock, a lock not obtained in time, a full disk."""


class Unclear(Hindered):
    """The server answers with an error that may be of its state or of the data: only more tries can tell."""


class Slow(Unavailable):
    """A statement was not done within our own limit."""


class ClockStepped(Hindered):
    """The server's clock is so far ahead of what all else says that nothing may be written with its time."""


class Outdated(Hindered):
    """What a batch has decided was overtaken by the clock while it waited for a lock: it is decided anew."""


class CommitUnknown(Unavailable):
    """The connection was lost during COMMIT: only a look at the positions tells whether it happened."""


class Fenced(WorkerError):
    """Another worker owns what this one believed to own; its work in hand is dropped and read again."""


class Refused(WorkerError):
    """The database refused the data itself; the same statement with the same data fails again."""


class Mistaken(Refused):
    """The worker itself has failed at the data, by a mistake that nobody foresaw; the same data leads to it again."""


class RelayHalted(ConfigurationError):
    """What Kafka holds and what PostgreSQL holds contradict each other; a person has to decide."""
