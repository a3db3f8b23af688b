"""Keys of advisory locks that differ by schema."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the functions."""
    run_sql(op.get_bind(), "0008_lock_keys.sql")
