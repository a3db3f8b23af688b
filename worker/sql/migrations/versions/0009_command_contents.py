"""What a command's name stands for."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns."""
    run_sql(op.get_bind(), "0009_command_contents.sql")
