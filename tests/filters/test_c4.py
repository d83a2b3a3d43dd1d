"""C4's rules: which lines are cut, what is cut out of lines, and which documents are removed."""

from __future__ import annotations

from typing import Any

import pytest
from heuristic_cases import batch_of, edited, strings, verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import ParameterError
from curation.filters.c4 import C4

ANY_LENGTH: dict[str, Any] = {"min_sentences": None}


def rewritten(text: str, **parameters: Any) -> str | None:
    """The text as it leaves the filter, None if the document is removed."""
    outcome = C4(**ANY_LENGTH | parameters)(batch_of([text]))
    return None if outcome.reasons[0].as_py() else outcome.batch.text[0].as_py()


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("a b " + "x" * 1001, "max_word_length"),
        ("only two", "min_words_per_line"),
        ("Please enable JavaScript to go on", "javascript"),
        ("Please enable JAVA\u017fCRIPT to go on", None),
        ("Please enable java\u017fcript and java script", None),
        ("See our Terms of Use for more", "policy"),
        ("We use coo\u212aies on this site", "policy"),
        ("We use cook\u0130es on this site", None),
        ("It uses  cookies of its own", None),
        ("a line of words", None),
    ],
)
def test_lines_that_are_cut(line: str, cause: str | None) -> None:
    """A line is cut by the first rule it violates and counted under that rule's name; other lines are kept."""
    outcome = C4(**ANY_LENGTH)(batch_of([f"  one two three \n{line}\r\nfour five six"]))
    kept = ["one two three", *([] if cause else [line]), "four five six"]
    assert outcome.batch.text.to_pylist() == ["\n".join(kept)]
    assert outcome.counts == ({f"lines_removed.{cause}": 1} if cause else {})
    assert outcome.signals[0].as_py()["lines_removed"] == (cause is not None)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("as shown [1] here [23].", "as shown  here ."),
        ("as shown [] here[edit] now", "as shown  here now"),
        ("one [citation needed] two three", "one  two three"),
        ("one [Edit] two [citation  needed]", "one [Edit] two [citation  needed]"),
        ("[[1]] one two [12a] [٣]", "[] one two [12a]"),
        ("[1] one two three [2]", "one two three"),
        ("one two [1", "one two [1"),
    ],
)
def test_citations_are_cut_out(line: str, left: str) -> None:
    """Citations are cut out in one pass, and nothing else in brackets; without the rule nothing is."""
    assert rewritten(line) == left
    assert rewritten(line, remove_citations=False) == line


def test_terminal_punctuation_can_be_required() -> None:
    """With the rule, a line must end in . ? ! or a quote, and not in three dots."""
    text = 'one two three.\none two "three"\none two three...\none two three;\none two three ?'
    assert rewritten(text, require_terminal_punctuation=True) == 'one two three.\none two "three"\none two three ?'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Lorem Ipsum dolor sit amet. {", "lorem_ipsum"),
        ("one { two three\nlorem ipsum dolor sit", "curly_bracket"),
        ("lorem ipsum dolor sit\none { two three", "lorem_ipsum"),
        ("lorem ipsum\none two three", None),
        ("var javascript = {\none two three", None),
        ("our privacy policy {\none two three", "curly_bracket"),
    ],
)
def test_lorem_ipsum_and_curly_brackets_remove_a_document(text: str, reason: str | None) -> None:
    """The first kept line that has either gives the reason, and the text is not rewritten."""
    outcome = C4(**ANY_LENGTH)(batch_of([text]))
    assert outcome.reasons.to_pylist() == [reason]
    if reason:
        assert outcome.batch.text.to_pylist() == [text]
        assert not outcome.counts


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One two three. Four five six! Seven", 3),
        ("One two three... Four five", 1),
        ('He said "One two." Then "Three."', 2),
        ("One two three.  ! Four", 3),
        ("One two three. ! Four", 2),
        ("One two three.\nFour five six", 2),
        ("One two three. [1] [2]", 2),
        ("One two three? ) Four", 2),
        ("一二三。 四五六。 七八", 3),
        ("No. 5 of 8 a.m. and e.g. this one", 2),
        ("", 0),
        ("one two", 0),
    ],
)
def test_sentences(text: str, sentences: int) -> None:
    """Sentences are counted line by line, as by spaCy's sentencizer, whitespace tokens included."""
    outcome = C4()(batch_of([text]))
    assert outcome.signals[0].as_py()["sentences"] == sentences
    for threshold, reason in ((sentences, None), (sentences + 1, "min_sentences"), (None, None)):
        assert C4(min_sentences=threshold)(batch_of([text])).reasons.to_pylist() == [reason]


SWITCHES = st.fixed_dictionaries(
    {
        "filter_no_terminal_punct": st.booleans(),
        "remove_citations": st.booleans(),
        "filter_javascript": st.booleans(),
        "filter_policy": st.booleans(),
        "filter_lorem_ipsum": st.booleans(),
        "filter_curly_bracket": st.booleans(),
        "max_word_length": st.sampled_from([-1, 8, 1000]),
        "min_words_per_line": st.sampled_from([-1, 1, 3]),
        "min_num_sentences": st.sampled_from([-1, 2, 5]),
    }
)
BASE = "First of all, here is one line.\nThen another one follows. It has two sentences!\nAnd the last"


@given(SWITCHES, st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_any_switches_equal_the_reference(switches: dict[str, Any], seed: int) -> None:
    """With any rules enabled, verdict and text equal the reference's."""
    from datatrove.pipeline.filters import C4QualityFilter

    ours = C4(
        require_terminal_punctuation=switches["filter_no_terminal_punct"],
        remove_citations=switches["remove_citations"],
        javascript=switches["filter_javascript"],
        policy=switches["filter_policy"],
        lorem_ipsum=switches["filter_lorem_ipsum"],
        curly_bracket=switches["filter_curly_bracket"],
        **{
            name: None if switches[other] == -1 else switches[other]
            for name, other in (
                ("max_word_length", "max_word_length"),
                ("min_words_per_line", "min_words_per_line"),
                ("min_sentences", "min_num_sentences"),
            )
        },
    )
    text = edited(BASE, seed)
    outcome = ours(batch_of([text]))
    assert (outcome.reasons[0].as_py(), outcome.batch.text[0].as_py()) == verdict(C4QualityFilter(**switches), text)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_views_of_the_rewritten_text(seeds: list[int]) -> None:
    """The views that leave the filter equal those of the text that leaves it, for each row, kept or removed."""
    batch = C4()(batch_of([edited(BASE, seed) for seed in seeds])).batch
    fresh = batch_of(batch.text.to_pylist())
    assert strings(batch, batch.words) == strings(fresh, fresh.words)
    assert batch.characters.counts.tolist() == fresh.characters.counts.tolist()
    assert strings(batch, batch.lines) == strings(fresh, fresh.lines)


def test_parameters_out_of_range() -> None:
    """A negative bound is refused, with the name of the parameter."""
    with pytest.raises(ParameterError, match="min_sentences"):
        C4(min_sentences=-1)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One two. Three four! Five six?", 3),
        ('He said ("one two.") Then he left.', 2),
        ("Version 1.5 of e.g this", 1),
        ("One two\nthree four\n\nfive six", 3),
        ("One ... two . three", 3),
        ("One two.", 1),
        ("", 0),
    ],
)
def test_sentences_between_white_space(text: str, sentences: int) -> None:
    """With `words = "space"`, a sentence ends with a line, or before white space after a stop and what closes it."""
    signals = C4(words="space", min_words_per_line=1)(batch_of([text])).signals
    assert signals.field("sentences").to_pylist() == [sentences]


CODE = '```python\nd = {\n    1: "javascript [1]",\n\n}  # lorem ipsum\n```'


def test_code_in_fences_is_kept() -> None:
    """With `markdown`, lines between fences stay as they are, and the rules look at the other lines only."""
    text = f"One two three.\ntwo words\n\n{CODE}\n\n  Four five six. \n"
    assert rewritten(text, markdown=True) == f"One two three.\n\n{CODE}\n\n  Four five six."
    assert rewritten(text.replace("Four", "{"), markdown=True) is None
    assert rewritten(text) is None


def test_code_in_fences_has_no_sentences() -> None:
    """With `markdown`, sentences are counted outside of fences."""
    text = f"One two three. Four five six.\n{CODE}\nSeven eight nine."
    outcome = C4(markdown=True)(batch_of([text, "", CODE]))
    assert outcome.signals.field("sentences").to_pylist() == [3, 0, 0]
    assert outcome.signals.field("lines").to_pylist() == [8, 0, 6]


def test_words_after_fences_are_those_of_the_text() -> None:
    """The words that later stages see are those of the rewritten text."""
    text = f"One two three [1] four.\n{CODE}\nFive six seven eight."
    batch = C4(**ANY_LENGTH, markdown=True)(batch_of([text, text])).batch
    again = batch_of(batch.text.to_pylist())
    assert strings(batch, batch.words) == strings(again, again.words)


@pytest.mark.parametrize("text", ["One two three.\n~~~\n{ four }", "> ```\n> { four }\n\nOne two three."])
def test_code_ends_where_commonmark_ends_it(text: str) -> None:
    """A fence that is never closed ends with the document or the quote it is in."""
    assert rewritten(text, markdown=True) is not None
    assert rewritten(text) is None


def test_markdown_keeps_its_structure() -> None:
    """With `markdown`, headings of any length, indentation and one blank line between lines that are kept stay."""
    text = "\n# Usage\n\n\nOne two three.\n\ntwo words\n\n- four five six\n  - seven eight\n\n#hash tag\n\n## See\n\n"
    expected = "# Usage\n\nOne two three.\n\n- four five six\n  - seven eight\n\n## See"
    outcome = C4(**ANY_LENGTH, markdown=True)(batch_of([text]))
    assert outcome.batch.text.to_pylist() == [expected]
    assert outcome.signals.to_pylist()[0]["lines_removed"] == 2
    assert rewritten(text, min_sentences=None) == "One two three.\n- four five six\n- seven eight"


def test_policies_are_cut_from_headings() -> None:
    """With `markdown`, the other rules for lines apply to headings."""
    assert rewritten("## Privacy policy\n\nOne two three.", markdown=True) == "One two three."
