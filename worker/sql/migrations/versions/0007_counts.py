"""How many users are in each segment, and how many came and went each day."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the tables and the view."""
    run_sql(op.get_bind(), "0007_counts.sql")
