"""Expiries at the end of the year 9999 are instants, not infinity."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make them finite."""
    run_sql(op.get_bind(), "0016_finite.sql")
