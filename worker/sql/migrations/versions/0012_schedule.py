"""Commands that take effect later."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the table where they wait."""
    run_sql(op.get_bind(), "0012_schedule.sql")
