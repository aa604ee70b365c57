import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, inspect

from slowwave.errors import OutOfSpace, StoreError, UsageError
from slowwave.experience import migrations, tables
from slowwave.experience.database import Database, url_of
from slowwave.experience.rows import experience_row, lesson_row
from slowwave.experience.store import Store
from slowwave.records import Check, Experience, Lesson


def lived(id: str, text: str = "Hello") -> Experience:
    return Experience(id, "default", "user:ann", "2026-03-01T09:00:00Z", ({"role": "user", "content": text},))


def python(code: str) -> subprocess.CompletedProcess[str]:
    whole = "from slowwave.experience.store import Store\n" + code
    return subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True)


def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    assert ScriptDirectory(Path(migrations.__file__).parent).get_heads() == [migrations.HEAD]
    assert migrations.HEAD in migrations.known()


def test_pragmas(tmp_path: Path) -> None:
    with Database(url_of(tmp_path)).read() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names] == ["wal", 2, 1]


def test_two_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(python, [f"s = Store({str(tmp_path)!r}); s.add_persona('p'); print(s.personas())"] * 4))
    assert [(d.stdout, d.stderr) for d in done] == [("['default', 'p']\n", "")] * 4


def test_opening_a_current_store_does_not_import_alembic(tmp_path: Path) -> None:
    Store(tmp_path).close()
    assert python(f"import sys; Store({str(tmp_path)!r}); print('alembic' in sys.modules)").stdout == "False\n"


def test_a_store_killed_in_the_middle_of_a_write_is_whole(tmp_path: Path) -> None:
    Store(tmp_path).close()
    code = f"""
import os
from slowwave.records import Check, Experience, Lesson
def lived(i): return Experience(str(i), "default", "user:ann", "2026-03-01T09:00:00Z", ())
store = Store({str(tmp_path)!r})
store.add(lived("kept"))
def dying():
    for i in range(700):
        if i == 600: os.kill(os.getpid(), 9)
        yield lived(i)
store.add_many(dying())
"""
    assert python(code).returncode == -9
    with Store(tmp_path) as store:
        assert len(store.experiences()) == 501, "one and a transaction of 500; the other never happened"
        assert store.add(lived("after"))


def test_a_locked_store_says_so(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path), busy_milliseconds=50)
    other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked by another program"), database.write():
        pass
    other.execute("ROLLBACK")
    with database.write():
        pass


def test_a_new_file_that_another_holds_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE t (x)")  # a file that keeps no log yet
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked by another program"):
        Database(url_of(tmp_path), busy_milliseconds=50)
    other.execute("ROLLBACK")
    other.execute("BEGIN")
    other.execute("SELECT * FROM t").fetchall()
    other.execute("INSERT INTO t VALUES (1)")  # SQLite itself would not wait for this one
    with ThreadPoolExecutor() as pool:
        pool.submit(lambda: (time.sleep(0.3), other.execute("COMMIT")))
        assert Store(tmp_path).personas() == ["default"]


@pytest.mark.parametrize("damage", [b"this is no database, not at all" * 200, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_damaged_store_says_so(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "store.sqlite3").write_bytes(damage)
    with pytest.raises(StoreError, match="is damaged") as raised:
        Store(tmp_path)
    assert "backup" in raised.value.hint
    assert (tmp_path / "store.sqlite3").read_bytes() == damage


def test_a_read_only_store_can_be_read(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.add(lived("a"))
    with Store(f"sqlite:///file:{tmp_path}/store.sqlite3?mode=ro&uri=true") as store:
        assert store.experience("a")
        with pytest.raises(StoreError, match="cannot be written"):
            store.add(lived("b"))


def test_a_full_disk_says_so_and_loses_nothing(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.add(lived("a"))
    with Store(tmp_path) as store:
        engine = store._database.engine
        event.listen(engine, "checkout", lambda connection, *_: connection.execute("PRAGMA max_page_count=40").close())
        with pytest.raises(OutOfSpace, match="no space left"):
            store.add_many([lived("b"), lived("c", "x" * 300_000)])
        assert [one.id for one in store.experiences()] == ["a"]


def test_a_new_home_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o750)
    for home in ("new", "mine"):
        Store(tmp_path / home).close()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o750, "what was there already is its owner's to open"


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "file" / "home")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "folder.db")
    with pytest.raises(UsageError):
        Store("nosuchdatabase://x/y")


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with Store(tmp_path) as store, store._database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num='9999'")
    with pytest.raises(StoreError, match="newer slowwave"):
        Store(tmp_path)


def test_a_store_of_the_first_revision_is_brought_up_to_date_with_all_it_holds(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        row = experience_row(lived("old"))
        connection.execute(tables.experiences.insert().values(row))
        for status in ("approved", "refused", "learned"):
            row = lesson_row(Lesson(status, "default", "Tea.", "What?", "Tea.", Check(("tea",)), status=status))
            del row["review"]
            connection.execute(tables.lessons.insert().values({**row, "created": "2026-03-01T09:00:00Z"}))
        assert not inspect(connection).has_table("nodes")
    engine.dispose()
    with Store(tmp_path) as store:
        assert store.experience("old") == lived("old")
        reviews = {lesson.id: lesson.review for lesson in store.lessons()}
        assert reviews == {"approved": "approved", "refused": "refused", "learned": None}
        assert store.graph.unlinked("default") == (["old"], ["approved", "learned"])
        with store._database.read() as connection:
            assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
