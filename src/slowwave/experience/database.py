"""One database: opening it, bringing its tables up to date, and errors in words.

SQLite by default: WAL (the server writes while a night reads), synchronous=FULL (what was acknowledged survives a
power cut), foreign keys on. Knows nothing of experiences and lessons.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from slowwave.errors import OutOfSpace, SlowwaveError, StoreError, UsageError
from slowwave.experience import migrations

BUSY_MILLISECONDS = 10_000


class Database:
    """A pool of connections that threads share. `read()` and `write()` are transactions."""

    def __init__(self, url: str, *, busy_milliseconds: int = BUSY_MILLISECONDS) -> None:
        try:
            self.engine: Engine = create_engine(url)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise UsageError(f"{url!r} is no database: {error}.", "Give a folder or a SQLAlchemy URL.") from error
        self.name = self.engine.url.database or self.engine.url.render_as_string(hide_password=True)
        if self.engine.dialect.name == "sqlite":
            self._prepare_sqlite(busy_milliseconds)
        try:
            self._upgrade()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one snapshot. Raises StoreError."""
        with self._errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write: all of it or nothing. Raises StoreError, OutOfSpace."""
        with self._errors(), self.engine.connect() as connection:
            connection = connection.execution_options(slowwave_write=True)
            with connection.begin():
                yield connection

    def _prepare_sqlite(self, busy_milliseconds: int) -> None:
        @event.listens_for(self.engine, "connect")
        def connected(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we begin transactions ourselves, below
            for pragma in (f"busy_timeout={busy_milliseconds}", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}").close()
            _keep_a_log(connection, busy_milliseconds / 1000)

        @event.listens_for(self.engine, "begin")
        def begun(connection: Connection) -> None:
            # A deferred transaction that reads first and writes later fails at once, without waiting for
            # busy_timeout, when another process wrote in between. So a writer takes its place at the start.
            write = connection.get_execution_options().get("slowwave_write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    def _upgrade(self) -> None:
        with self.read() as connection:
            found = _revision(connection)
        if found == migrations.HEAD:
            return  # the usual case: Alembic is not even imported
        if found is not None and found not in migrations.known():
            raise StoreError(
                f"{self.name} was written by a newer slowwave (revision {found}).", "Upgrade slowwave to open it."
            )
        with self.write() as connection:
            if _revision(connection) != migrations.HEAD:  # another process may have been faster
                migrations.upgrade(connection)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error, OSError) as error:
            if isinstance(error, SlowwaveError):
                raise
            raise _in_words(self.name, error) from error


def url_of(home_or_url: str | Path) -> str:
    """A URL as it is; a folder holds `store.sqlite3`, a path that ends in .sqlite3 or .db is the file itself.

    A folder that is not there is made, for its owner alone: what is said in it is nobody else's on this machine.
    """
    if "://" in str(home_or_url):
        return str(home_or_url)
    path = Path(home_or_url).expanduser().absolute()
    file = path if path.suffix in (".sqlite3", ".db") else path / "store.sqlite3"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _in_words(str(file.parent), error) from error
    return f"sqlite:///{file}"


def _keep_a_log(connection: sqlite3.Connection, seconds: float) -> None:
    """WAL. Turning a new file over to it does not wait for busy_timeout while another opens the file: we do."""
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _in_words(name: str, error: Exception) -> SlowwaveError:
    said = str(getattr(error, "orig", error))
    low = said.lower()
    if "locked" in low or "busy" in low:
        return StoreError(f"{name} is locked by another program.", "Close what holds it, or try again in a moment.")
    if "full" in low or "no space" in low:
        return OutOfSpace(f"There is no space left to write {name}.", "Free some disk space; nothing stored was lost.")
    if "readonly" in low or "read-only" in low or "permission" in low:
        return StoreError(f"{name} cannot be written: {said}.", "Make the file and its folder writable.")
    if "malformed" in low or "not a database" in low or "corrupt" in low:
        return StoreError(f"{name} is damaged: {said}.", "Restore it from a backup, or move it away to begin anew.")
    if "unable to open" in low or isinstance(error, OSError):
        return StoreError(f"{name} cannot be opened: {said}.", "Check the folder and its owner, or use --home.")
    return StoreError(f"{name} refused: {said}.", "Run `slowwave doctor`; the store itself was not changed.")
