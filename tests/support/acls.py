"""Rights in Kafka, as `kafka-acls.sh` gives them: its commands, read from a document, are what a test applies."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from worker.kafka import clients as kafka
from worker.settings import Settings

KINDS = {"--topic": 2, "--group": 3, "--cluster": 4, "--transactional-id": 5}
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
PATTERNS = {"literal": 3, "prefixed": 4}
ANY_HOST, ALLOW = "*", 3
CLUSTER = "kafka-cluster"


class Right(NamedTuple):
    """Who may do what, on what."""

    principal: str
    operation: str
    kind: str
    name: str
    pattern: str = "literal"


def read(text: str) -> list[Right]:
    """All that the document's `kafka-acls.sh` commands give."""
    found = []
    for command in re.findall(r"^kafka-acls\.sh .*$", text.replace("\\\n", " "), re.MULTILINE):
        words = shlex.split(command)[1:]
        assert words.pop(0) == "--add"
        given: dict[str, list[str]] = {}
        while words:
            option = words.pop(0)
            given.setdefault(option, []).append(words.pop(0) if words and not words[0].startswith("--") else CLUSTER)
        (principal,), operations = given.pop("--allow-principal"), given.pop("--operation")
        (pattern,) = given.pop("--resource-pattern-type", ["literal"])
        found += [
            Right(principal, operation, kind, name, pattern)
            for kind, names in given.items()
            for name in names
            for operation in operations
        ]
    return found


async def give(settings: Settings, rights: Iterable[Right]) -> None:
    """Have them in the cluster."""
    async with kafka.admin(settings) as client:
        for right in rights:
            answer = await client._send_to_controller(CreateAclsRequest(*_acl(right)))
            assert all(code == 0 for code, _ in answer.creation_responses), answer


async def take(settings: Settings, rights: Iterable[Right]) -> None:
    """Have them no more."""
    async with kafka.admin(settings) as client:
        for right in rights:
            answer = await client._send_to_controller(DeleteAclsRequest(*_acl(right)))
            assert all(one[0] == 0 for one in answer.filter_responses), answer


def _acl(right: Right) -> tuple[int, str, int, str, str, int, int]:
    return (
        KINDS[right.kind],
        right.name,
        PATTERNS[right.pattern],
        right.principal,
        ANY_HOST,
        OPERATIONS[right.operation],
        ALLOW,
    )
