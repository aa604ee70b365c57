"""What a person said of a lesson stays with it after a night has moved it on."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lessons", sa.Column("review", sa.String(16)))
    op.execute("UPDATE lessons SET review = status WHERE status IN ('approved', 'refused')")


def downgrade() -> None:
    op.drop_column("lessons", "review")
