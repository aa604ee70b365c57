"""The history of the tables, run by Alembic when a store is opened. Revisions are in `versions/`; HEAD is the last."""

from pathlib import Path

from sqlalchemy import Connection

HEAD = "0003"


def known() -> set[str]:
    """All revisions this version of slowwave can start from."""
    return {file.name.split("_")[0] for file in (Path(__file__).parent / "versions").glob("[0-9]*.py")}


def upgrade(connection: Connection) -> None:
    """Brings the tables up to HEAD inside the connection's transaction."""
    # Alembic takes a while to import and is needed only when a store is new or old.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
