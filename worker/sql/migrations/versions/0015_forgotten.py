"""What is scheduled for users who were forgotten; where a list's commit came from."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the table and the columns."""
    run_sql(op.get_bind(), "0015_forgotten.sql")
