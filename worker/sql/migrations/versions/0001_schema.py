"""Segments, users, memberships, the journal, and what the line needs to be exactly once."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    run_sql(op.get_bind(), "0001_schema.sql")
