"""Lists of users that are imported."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the tables, and the functions that decide for commands and lists alike."""
    run_sql(op.get_bind(), "0011_imports.sql")
