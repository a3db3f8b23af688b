"""Refusals of the brokers that only a person can mend, as sentences: missing rights, limits that are too low."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidSessionTimeoutError,
    InvalidTransactionTimeout,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from worker.kafka import rights
from worker.settings import ENV_PREFIX, TRANSACTION_SECONDS_MAX, Settings


def of(settings: Settings, error: BaseException) -> str | None:
    """What to do about it; None for all that may pass."""
    match error:
        case TopicAuthorizationFailedError():
            found = _topics(settings, error)
        case ClusterAuthorizationFailedError():
            found = (
                f"Kafka: the principal {rights.principal(settings)} may write to no topic at all, or has no right on "
                "the cluster: docs/security.md has all rights that are needed"
            )
        case GroupAuthorizationFailedError():
            found = rights.sentence(settings, "Read", "group", settings.group_id)
        case TransactionalIdAuthorizationFailed():
            found = rights.sentence(settings, "Write", "transactional-id", rights.transactional_id(settings))
        case InvalidSessionTimeoutError():
            found = _session(settings)
        case InvalidTransactionTimeout():
            found = _transaction()
        case _:
            return None
    return found


def _topics(settings: Settings, error: TopicAuthorizationFailedError) -> str:
    names = _names(error.args)
    return (
        f"Kafka: the principal {rights.principal(settings)} lacks a right on "
        f"{f'the topic {names}' if names else 'a topic'}: docs/security.md has all that are needed, and "
        "`segmentation doctor` names each one that is missing"
    )


def limits(
    settings: Settings, session_ms_min: int | None, session_ms_max: int | None, transaction_ms_max: int | None
) -> Iterator[str]:
    """What the brokers would refuse later, where their limits are known."""
    session_ms = settings.session_seconds_max * 1000
    if session_ms < (session_ms_min or 0) or session_ms > (session_ms_max or session_ms):
        yield f"{_session(settings)} ({session_ms_min} and {session_ms_max})"
    if transaction_ms_max is not None and transaction_ms_max < TRANSACTION_SECONDS_MAX * 1000:
        yield f"{_transaction()} (now {transaction_ms_max})"


def _session(settings: Settings) -> str:
    return (
        f"Kafka: the brokers do not allow a session of {settings.session_seconds_max} s: set "
        f"{ENV_PREFIX}SESSION_SECONDS_MAX to a value between their group.min.session.timeout.ms and "
        "group.max.session.timeout.ms"
    )


def _transaction() -> str:
    return (
        f"Kafka: the brokers do not allow a transaction of {TRANSACTION_SECONDS_MAX} s: set their "
        f"transaction.max.timeout.ms to {TRANSACTION_SECONDS_MAX * 1000} or more"
    )


def _names(arguments: Iterable[object]) -> str:
    """aiokafka hands over a name, or a set of them, or its own words."""
    found: list[str] = []
    for argument in arguments:
        found += sorted(map(str, argument)) if isinstance(argument, (set, frozenset, list, tuple)) else [str(argument)]
    return ", ".join(name for name in found if " " not in name)
