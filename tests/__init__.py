"""The tests; what their helpers assert is explained as in the tests themselves."""

import pytest

pytest.register_assert_rewrite("tests.support", "tests.model.compare")
