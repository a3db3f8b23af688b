"""One rule for what counts as a membership, and one for the journal's numbers."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the functions."""
    run_sql(op.get_bind(), "0005_one_rule.sql")
