"""Which phases of a night are whole."""

from slowwave.night.ledger import Ledger, now


def ledger_of(tmp_path, *phases):
    ledger = Ledger(tmp_path)
    for phase in phases:
        (tmp_path / f"{phase}.json").write_text(phase)
        ledger.write(phase, now(), [f"{phase}.json"])
    return ledger


def test_a_phase_counts_while_its_artifacts_are_what_it_wrote(tmp_path):
    ledger = ledger_of(tmp_path, "gather", "dream", "train")
    assert list(ledger.whole()) == ["gather", "dream", "train"]
    (tmp_path / "dream.json").write_text("changed")
    assert list(ledger.whole()) == ["gather"]
    (tmp_path / "gather.json").unlink()
    assert list(ledger.whole()) == []


def test_doing_a_phase_again_voids_what_was_built_on_it(tmp_path):
    ledger = ledger_of(tmp_path, "gather", "dream", "train", "dream")
    assert list(ledger.whole()) == ["gather", "dream"]


def test_a_torn_line_is_no_phase_and_the_next_one_still_counts(tmp_path):
    ledger = ledger_of(tmp_path, "gather")
    with ledger.path.open("ab") as file:
        file.write(b'{"phase": "dream", "star')
    assert list(ledger.whole()) == ["gather"]
    ledger_of(tmp_path, "train")
    assert list(ledger.whole()) == ["gather", "train"]
