import dataclasses

import pytest

from slowwave.errors import SettingsError
from slowwave.experience.authority import Permission, authority_of
from slowwave.records import Experience, least

EXPERIENCE = Experience("a", "default", "user:ann", "2026-03-01", (), authority="user")


@pytest.mark.parametrize(
    ("source", "authority"),
    [
        ("user:ann", "user"),
        ("user", "user"),
        ("tool:shell", "tool"),
        ("assistant", "assistant"),
        ("dream:7", "dream"),
        ("unknown", "unknown"),
        ("", "unknown"),
        ("username", "unknown"),
        ("User:ann", "unknown"),
    ],
)
def test_the_authority_of_a_source(source: str, authority: str) -> None:
    assert authority_of(source) == authority


def test_authority_is_the_least_of_a_lineage() -> None:
    assert least("user", "tool") == "tool"
    assert least("dream", "assistant", "user") == "dream"
    assert least("user", "unknown", "dream") == "unknown"
    assert least("user") == "user"
    assert least() == "unknown", "what comes from nowhere is not believed"


def test_by_default_only_users_teach() -> None:
    permission = Permission()
    assert permission.allows(EXPERIENCE)
    for authority in ("tool", "assistant", "dream", "unknown"):
        assert not permission.allows(dataclasses.replace(EXPERIENCE, source=f"{authority}:x", authority=authority))


def test_a_source_can_be_trusted_by_name() -> None:
    tool = dataclasses.replace(EXPERIENCE, source="tool:pytest", authority="tool")
    permission = Permission(trusted_sources=("tool:pytest",))
    assert permission.allows(tool)
    assert not permission.allows(dataclasses.replace(tool, source="tool:web"))


@pytest.mark.parametrize("wrong", ["assistant", "dream", "boss"])
def test_the_model_itself_can_never_be_let_teach(wrong: str) -> None:
    with pytest.raises(SettingsError):
        Permission(authorities=("user", wrong))  # type: ignore[arg-type]
