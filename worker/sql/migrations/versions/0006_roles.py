"""The worker's role needs no ownership."""

from alembic import op

from worker.postgres.migrations import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Let retention's functions run as their owner."""
    run_sql(op.get_bind(), "0006_roles.sql")
