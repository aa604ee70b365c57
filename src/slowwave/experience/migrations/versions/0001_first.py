"""The first tables: personas, experiences, lessons and their lineage, statistics.

Written out in full, and not taken from `tables.py`, because a revision must never change with the code.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    personas = op.create_table(
        "personas",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("created", sa.String(40), nullable=False),
    )
    op.create_table(
        "experiences",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("persona", sa.String(64), sa.ForeignKey("personas.name"), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("authority", sa.String(16), nullable=False),
        sa.Column("time", sa.String(40), nullable=False),
        sa.Column("moment", sa.Float, nullable=False),
        sa.Column("messages", sa.JSON, nullable=False),
        sa.Column("outcome", sa.JSON, nullable=False),
        sa.Column("adapter", sa.String(200)),
        sa.Column("surprise", sa.Float),
        sa.Column("novelty", sa.Float),
        sa.Column("arousal", sa.Float),
        sa.Column("reward", sa.Float),
        sa.Column("conflict", sa.Float),
        sa.Column("total", sa.Float),
        sa.Column("valence", sa.Float),
        sa.Column("reasons", sa.JSON),
        sa.Column("embedding", sa.LargeBinary),
    )
    op.create_index("experiences_by_time", "experiences", ["persona", "moment"])
    op.create_index("experiences_by_salience", "experiences", ["persona", "total"])
    op.create_table(
        "lessons",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("persona", sa.String(64), sa.ForeignKey("personas.name"), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("question", sa.Text),
        sa.Column("answer", sa.Text),
        sa.Column("check", sa.JSON, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("cue", sa.Text),
        sa.Column("applies", sa.Text, nullable=False),
        sa.Column("not_applies", sa.Text, nullable=False),
        sa.Column("authority", sa.String(16), nullable=False),
        sa.Column("salience", sa.Float, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("night", sa.Integer),
        sa.Column("created", sa.String(40), nullable=False),
    )
    op.create_index("lessons_by_status", "lessons", ["persona", "status"])
    op.create_table(
        "lineage",
        sa.Column("lesson", sa.String(64), sa.ForeignKey("lessons.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("experience", sa.String(64), sa.ForeignKey("experiences.id"), primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
    )
    op.create_index("lineage_by_experience", "lineage", ["experience"])
    op.create_table(
        "statistics",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.bulk_insert(personas, [{"name": "default", "created": datetime.now(UTC).isoformat()}])


def downgrade() -> None:
    for table in ("statistics", "lineage", "lessons", "experiences", "personas"):
        op.drop_table(table)
