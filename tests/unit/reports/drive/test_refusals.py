"""Each of Drive's refusals says what to do."""

from __future__ import annotations

import re

import pytest

from worker.reports.drive.refusals import MEANINGS, REFUSALS, explained, known, not_public
from worker.reports.storage import StorageError

PASSING = {
    "dailyLimitExceeded",
    "rateLimitExceeded",
    "sharingRateLimitExceeded",
    "userRateLimitExceeded",
}


@pytest.mark.parametrize(("status", "reason"), REFUSALS)
def test_each_has_a_code_and_advice(status: int, reason: str) -> None:
    meaning = REFUSALS[status, reason]
    assert 400 <= status < 500
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", meaning.code)
    assert len(meaning.advice) > 30
    assert not meaning.advice.endswith(".")
    assert meaning.is_permanent == (reason not in PASSING)


def test_each_has_one_meaning_and_is_found_in_its_order() -> None:
    assert sum(map(len, MEANINGS.values())) == len(REFUSALS)
    assert [list(refusals) for refusals in MEANINGS.values()] == [sorted(refusals) for refusals in MEANINGS.values()]


def test_a_refusal_means_the_same_under_both_statuses() -> None:
    for (status, reason), meaning in REFUSALS.items():
        if status == 400 and (403, reason) in REFUSALS:
            assert REFUSALS[403, reason] == meaning


@pytest.mark.parametrize(
    ("status", "reason", "code", "is_permanent"),
    [
        (403, "storageQuotaExceeded", "storage_quota", True),
        (403, "insufficientFilePermissions", "forbidden", True),
        (403, "accessNotConfigured", "api_disabled", True),
        (403, "teamDriveFileLimitExceeded", "drive_full", True),
        (403, "userRateLimitExceeded", "rate_limited", False),
        (400, "invalidSharingRequest", "not_public", True),
        (401, "authError", "credentials", True),
        (404, "notFound", "not_found", True),
        (408, "", "drive_unavailable", False),
        (429, "anything", "rate_limited", False),
        (500, "internalError", "drive_unavailable", False),
        (503, "", "drive_unavailable", False),
        (599, "anything", "drive_unavailable", False),
        (400, "anything", "refused", True),
        (403, "anything", "refused", True),
        (418, "", "refused", True),
    ],
)
def test_what_a_refusal_means(status: int, reason: str, code: str, is_permanent: bool) -> None:
    error = explained(status, reason, "Its own words.")
    assert (error.code, error.is_permanent, error.link) == (code, is_permanent, None)
    assert "Its own words." in str(error)
    assert str(status) in str(error)
    assert (known(status, reason) is None) == (code == "refused")


def test_a_refusal_to_share_keeps_the_link() -> None:
    error = not_public(explained(403, "publishOutNotPermitted", "No."), "link")
    assert (error.code, error.is_permanent, error.link) == ("not_public", True, "link")
    assert str(error).startswith("The file is stored")


def test_whatever_is_refused_in_sharing_for_good_leaves_it_not_public() -> None:
    error = not_public(explained(403, "anything", "No."), "link")
    assert (error.code, error.is_permanent, error.link) == ("not_public", True, "link")
    assert str(error).startswith("The file is stored")
    assert "No. [403 anything]" in str(error)


def test_what_passes_in_sharing_passes() -> None:
    error = not_public(StorageError("drive_unavailable", "Later.", is_permanent=False), "link")
    assert (error.code, error.is_permanent, error.link) == ("drive_unavailable", False, "link")
