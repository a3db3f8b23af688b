"""Positions know of which topic they are."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the topics' ids."""
    run_sql(op.get_bind(), "0004_topic_ids.sql")
