"""Snapshots of all users' states."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the table."""
    run_sql(op.get_bind(), "0014_state.sql")
