"""One home for what commands and lists have in common."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the functions and the view that several statements share, and what lists count beside."""
    run_sql(op.get_bind(), "0013_shared_rules.sql")
