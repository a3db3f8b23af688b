"""A primary key on every table, in the place of indexes that were there."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Exchange indexes for keys."""
    run_sql(op.get_bind(), "0010_keys.sql")
