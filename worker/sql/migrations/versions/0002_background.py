"""Rollouts, expiry, and the jobs that run by themselves."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what the background jobs need."""
    run_sql(op.get_bind(), "0002_background.sql")
