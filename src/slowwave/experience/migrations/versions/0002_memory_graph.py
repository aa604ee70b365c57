"""The memory graph: nodes and links."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(80), nullable=False, unique=True),
        sa.Column("persona", sa.String(64), sa.ForeignKey("personas.name"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("authority", sa.String(16), nullable=False),
        sa.Column("embedding", sa.LargeBinary),
        sa.Column("experience", sa.String(64), sa.ForeignKey("experiences.id", ondelete="CASCADE")),
        sa.Column("lesson", sa.String(64), sa.ForeignKey("lessons.id", ondelete="CASCADE")),
        sqlite_autoincrement=True,
    )
    op.create_index("nodes_by_persona", "nodes", ["persona", "kind"])
    op.create_index("nodes_by_experience", "nodes", ["experience"])
    op.create_index("nodes_by_lesson", "nodes", ["lesson"])
    node = lambda name: sa.Column(  # noqa: E731
        name, sa.Integer, sa.ForeignKey("nodes.number", ondelete="CASCADE"), primary_key=True
    )
    op.create_table(
        "links",
        node("source"),
        node("target"),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("weight", sa.Float, nullable=False),
    )
    op.create_index("links_by_target", "links", ["target"])


def downgrade() -> None:
    for table in ("links", "nodes"):
        op.drop_table(table)
