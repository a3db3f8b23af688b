"""The literal tables are complete, and what is generated is fresh."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from typing import get_args

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from schemas.commands import COMMANDS, Change, names_on
from schemas.failures import MakingFailure, RequestFailure, StorageFailure
from schemas.imports import Opening
from schemas.topics import Topic
from tests.tidy.sources import ROOT, SQL
from worker.cli.settings_page import env_file, markdown
from worker.jobs.leader import Leader
from worker.journal.relay import Relay
from worker.line.batch import QUERY
from worker.line.consume import CONSUMED
from worker.line.handlers import HANDLERS
from worker.line.handlers.memberships import EFFECTS, UNKNOWN_SEGMENT, UNKNOWN_USER
from worker.observability import metrics
from worker.postgres import locks
from worker.postgres.session import statement
from worker.reports.reporter import Reporter
from worker.settings import Settings


def test_every_command_that_is_consumed_is_handled() -> None:
    consumed = {name for name, spec in COMMANDS.items() if spec.topic in CONSUMED}
    assert set(HANDLERS) == consumed - {QUERY}
    assert len({handler.decide for handler in HANDLERS.values()}) == len(HANDLERS)


def test_a_handler_takes_what_its_command_holds() -> None:
    """The types of the data are checked from the decoder to the table, and from the table on; here they meet."""
    resolved = {"membership.change": Change, "import.begin": Opening}
    held = {name: resolved.get(name, spec.data) for name, spec in COMMANDS.items()}
    assert {name: handler.data for name, handler in HANDLERS.items()} == {name: held[name] for name in HANDLERS}


def test_what_is_of_segments_and_what_works_alone() -> None:
    of_segments = {name for name, handler in HANDLERS.items() if handler.is_of_segments}
    assert of_segments == set(names_on(Topic.SEGMENT_COMMANDS)) - {"schedule.cancel"}
    assert {name for name, handler in HANDLERS.items() if handler.is_exclusive} == of_segments | {"user.forget"}


def test_every_letter_of_an_effect_is_known() -> None:
    function = (SQL / "migrations" / "0011_imports.sql").read_text(encoding="utf-8").partition("function effect_on")[2]
    said = set(re.findall(r"(?:then|else) '(.)'", function + statement("memberships_change")))
    assert said == EFFECTS.keys() | {UNKNOWN_USER, UNKNOWN_SEGMENT}


def test_locks_differ() -> None:
    assert locks.MIGRATION != locks.STRUCTURE
    assert Counter(leader.role for leader in (Relay, Leader, Reporter)) == Counter(locks.Role)


def test_every_failure_of_a_report_is_documented() -> None:
    codes = {*get_args(RequestFailure), *get_args(MakingFailure), *get_args(StorageFailure)}
    pages = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("reports.md", "google-drive.md"))
    assert {code for code in codes if f"`{code}`" not in pages} == set()


def test_every_setting_is_explained() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_settings_page_is_fresh() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == markdown()
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_file()


def test_the_generated_documents_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "schemas.export", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_says_what_it_is() -> None:
    ours = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    described = [description for metric in ours for description in metric.describe()]
    assert len(described) >= 15
    for metric in described:
        assert metric.name.startswith("segmentation_")
        assert len(metric.documentation) > 15
        assert metric.name in {family.name for family in REGISTRY.collect()}
