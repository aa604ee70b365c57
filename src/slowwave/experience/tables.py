"""The tables of the store, as SQLAlchemy Core. They know no records; `rows.py` translates.

Change them only together with a new revision in `migrations/versions/`: a test compares both.
"""

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

personas = Table(
    "personas",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created", String(40), nullable=False),
)

experiences = Table(
    "experiences",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("persona", ForeignKey("personas.name"), nullable=False),
    Column("source", String(200), nullable=False),
    Column("authority", String(16), nullable=False),
    Column("time", String(40), nullable=False),  # as it was given
    Column("moment", Float, nullable=False),  # the same in seconds since 1970, to sort and compare
    Column("messages", JSON, nullable=False),
    Column("outcome", JSON, nullable=False),
    Column("adapter", String(200)),
    Column("surprise", Float),  # the seven numbers and the reasons are NULL together: not scored yet
    Column("novelty", Float),
    Column("arousal", Float),
    Column("reward", Float),
    Column("conflict", Float),
    Column("total", Float),
    Column("valence", Float),
    Column("reasons", JSON(none_as_null=True)),
    Column("embedding", LargeBinary),  # float32, little-endian
    Index("experiences_by_time", "persona", "moment"),
    Index("experiences_by_salience", "persona", "total"),
)

lessons = Table(
    "lessons",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("persona", ForeignKey("personas.name"), nullable=False),
    Column("note", Text, nullable=False),
    Column("question", Text),
    Column("answer", Text),
    Column("check", JSON, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("cue", Text),
    Column("applies", Text, nullable=False),
    Column("not_applies", Text, nullable=False),
    Column("authority", String(16), nullable=False),
    Column("salience", Float, nullable=False),
    Column("status", String(16), nullable=False),
    Column("night", Integer),
    Column("review", String(16)),
    Column("created", String(40), nullable=False),
    Index("lessons_by_status", "persona", "status"),
)

lineage = Table(
    "lineage",
    metadata,
    Column("lesson", ForeignKey("lessons.id", ondelete="CASCADE"), primary_key=True),
    Column("experience", ForeignKey("experiences.id"), primary_key=True),
    Column("place", Integer, nullable=False),  # keeps the order of Lesson.experiences
    Index("lineage_by_experience", "experience"),
)

statistics = Table(
    "statistics",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("body", JSON, nullable=False),
)

# The memory graph. Nodes have a number, as links are many and short. What a node stands for takes it along.
nodes = Table(
    "nodes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(80), nullable=False, unique=True),
    Column("persona", ForeignKey("personas.name"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("authority", String(16), nullable=False),
    Column("embedding", LargeBinary),  # float32, little-endian; NULL: not embedded yet
    Column("experience", ForeignKey("experiences.id", ondelete="CASCADE")),
    Column("lesson", ForeignKey("lessons.id", ondelete="CASCADE")),
    Index("nodes_by_persona", "persona", "kind"),
    Index("nodes_by_experience", "experience"),
    Index("nodes_by_lesson", "lesson"),
    sqlite_autoincrement=True,  # no number comes twice: who has read up to one reads on from there
)

links = Table(
    "links",
    metadata,
    Column("source", ForeignKey("nodes.number", ondelete="CASCADE"), primary_key=True),
    Column("target", ForeignKey("nodes.number", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("weight", Float, nullable=False),
    Index("links_by_target", "target"),
)
