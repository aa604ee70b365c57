"""What Alembic runs: the revisions, on the connection and in the transaction of whoever opens the store."""

from alembic import context

from slowwave.experience.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
