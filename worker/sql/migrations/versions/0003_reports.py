"""The monthly report: its editions, attempts and requests."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what reports need."""
    run_sql(op.get_bind(), "0003_reports.sql")
