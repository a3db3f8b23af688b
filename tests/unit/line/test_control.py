"""Names of the form of others."""

from __future__ import annotations

import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from worker.line.control import like


@given(st.from_regex(r"[0-9]{4}|[0-9a-f]{8}-[A-F]{3}|u_[a-z]+@x[.]ée", fullmatch=True), st.integers())
def test_the_form_stays(name: str, seed: int) -> None:
    made = like(name, Random(seed))
    assert re.sub("[0-9]", "0", re.sub("[a-f]", "a", re.sub("[g-z]", "z", re.sub("[A-F]", "A", made)))) == re.sub(
        "[0-9]", "0", re.sub("[a-f]", "a", re.sub("[g-z]", "z", re.sub("[A-F]", "A", name)))
    )


def test_the_name_does_not() -> None:
    assert len({like("1001", Random(seed)) for seed in range(100)}) > 50
