"""The stage that finds benchmark items in documents."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from items import FARM, PASSAGE, SOLUTION, write_items
from stages import documents

from curation.errors import ParameterError
from curation.filters.decontaminate import Decontaminate
from curation.stages.batch import Batch
from curation.stages.stage import signal_type


@pytest.fixture
def quiz(tmp_path: Path) -> str:
    """A file of items."""
    return write_items(tmp_path)


def test_the_outcome_is_that_of_the_kind(quiz: str) -> None:
    """By default a question or an answer drops the document and a passage marks it, with the evidence in signals."""
    outcome = Decontaminate(against=(quiz,))(documents("fine", f"Look: {FARM}", SOLUTION, f"So. {PASSAGE} Yes."))
    assert outcome.reasons.to_pylist() == [None, "min_question", "min_answer", None]
    rows = outcome.signals.to_pylist()
    assert rows[0] == dict.fromkeys(rows[0])
    assert [(row["outcome"], row["kind"], row["suite"], row["item"]) for row in rows[1:]] == [
        ("drop", "question", "quiz", "farm"), ("drop", "answer", "quiz", "farm"), ("mark", "passage", "quiz", "cape"),
    ]  # fmt: skip
    assert rows[1]["question"] == 1.0
    assert rows[1]["evidence"].startswith("Farmer Okonkwo sells seventeen")
    assert outcome.counts == {"quiz.drop": 2, "quiz.mark": 1}
    assert outcome.batch.text.to_pylist()[3] == f"So. {PASSAGE} Yes."


def test_cut(quiz: str) -> None:
    """A cut takes the item out of the text and keeps the rest; a document of which nothing is left is removed."""
    stage = Decontaminate(against=(quiz,), question="cut", answer="cut")
    texts = documents(f"Before äö. {FARM} After.", f"{FARM} and {SOLUTION} end", FARM.rstrip("?"))
    outcome = stage(texts)
    assert outcome.batch.text.to_pylist() == ["Before äö. ? After.", "? and . end", ""]
    assert outcome.reasons.to_pylist() == [None, None, "emptied"]


def test_a_drop_goes_before_a_cut(quiz: str) -> None:
    """A document with an item to drop it for is dropped, with its text as it was."""
    text = f"{PASSAGE} {FARM}"
    outcome = Decontaminate(against=(quiz,), passage="cut")(documents(text))
    assert outcome.reasons.to_pylist() == ["min_question"]
    assert outcome.batch.text.to_pylist() == [text]


def test_thresholds(quiz: str) -> None:
    """A kind whose threshold is none is not looked for, and a higher one wants more of the words."""
    changed = FARM.replace("seventeen baskets", "forty crates").replace("altogether", "overall")
    assert Decontaminate(against=(quiz,))(documents(changed)).reasons.to_pylist() == ["min_question"]
    assert Decontaminate(against=(quiz,), min_question=0.95)(documents(changed)).reasons.to_pylist() == [None]
    none = Decontaminate(against=(quiz,), min_question=None)(documents(FARM))
    assert none.reasons.to_pylist() == [None]
    assert none.signals.to_pylist()[0]["outcome"] is None


def test_it_is_off_without_items() -> None:
    """Without items the stage says so, and does nothing."""
    stage = Decontaminate()
    assert stage.is_off
    assert stage(documents(FARM)).reasons.to_pylist() == [None]


def test_the_fingerprint_covers_the_items(quiz: str, tmp_path: Path) -> None:
    """Other items in the same file change the assets; workers get the stage by pickle."""
    stage = Decontaminate(against=(quiz,))
    before = stage.assets()
    assert pickle.loads(pickle.dumps(stage)).assets() == before
    write_items(tmp_path, {"question": PASSAGE})
    changed = Decontaminate(against=(quiz,))
    assert changed.assets() != before
    assert changed(documents(FARM, PASSAGE)).reasons.to_pylist() == [None, "min_question"]


def test_bad_items_are_refused(tmp_path: Path) -> None:
    """A file that does not exist, or without the named field, is an error of the key `against`."""
    for argument in (str(tmp_path / "none"), f"{write_items(tmp_path)}#question=prompt"):
        with pytest.raises(ParameterError, match="against"):
            Decontaminate(against=(argument,))


def test_signals_have_fixed_types(quiz: str) -> None:
    """The types of the signals do not depend on what is found."""
    empty = Batch(pa.record_batch({"id": pa.array([], pa.string()), "text": pa.array([], pa.string())}))
    stage = Decontaminate(against=(quiz,))
    found = stage(documents(FARM)).signals.type
    assert {f"d.{part.name}": part.type for part in found} == {
        part.name: part.type for part in signal_type([("d", stage)], empty)
    }
