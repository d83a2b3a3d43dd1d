"""The share of duplicates from a sample: its growth, and coverage of the intervals wherever copies are."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from curation.jobs.inspect.estimate.copies import FoundCopies, duplicate_share, project_duplicates
from curation.jobs.inspect.estimate.extrapolation import SamplingFrame, point

FILES, CHUNKS, CHUNK = 8, 6, 30
"""Files, chunks of each and documents of each of a corpus that is made here."""


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_duplicates_grow_with_the_documents(share: float) -> None:
    """A sample shows too few of the copies spread over a corpus, and the extrapolation corrects for that."""
    rng = random.Random(3)
    documents = [*range(6000), *range(1000), *range(100), *range(20)]
    truth = 1 - 6000 / len(documents)
    values, covered = [], 0
    for _ in range(60):
        abundance = Counter(Counter(rng.sample(documents, round(share * len(documents)))).values())
        interval = duplicate_share(abundance, 1 / share)
        seen = sum((times - 1) * texts for times, texts in abundance.items()) / round(share * len(documents))
        assert seen < truth
        values.append(interval.value)
        covered += truth in interval
    assert sum(values) / 60 == pytest.approx(truth, rel=0.1)
    assert covered >= 50


def test_no_duplicate_found_does_not_prove_there_are_none() -> None:
    """A small sample without duplicates still has an upper bound above zero; all documents without any do not."""
    interval = duplicate_share({1: 100}, 50)
    assert (interval.value, interval.low) == (0, 0)
    assert 0.1 < interval.high <= 1
    assert duplicate_share({1: 100}, 1, seen=1) == point(0)
    assert duplicate_share({}, 9) == point(0)


def corpus(where: str, seed: int) -> list[list[list[int]]]:
    """The texts of a corpus by file and chunk; a tenth of the documents are copies, and so many have one."""
    rng = random.Random(seed)
    places = [(file, chunk) for file in range(FILES) for chunk in range(CHUNKS) for _ in range(CHUNK)]
    rng.shuffle(places)
    texts: list[list[list[int]]] = [[[] for _ in range(CHUNKS)] for _ in range(FILES)]
    for text in range(len(places) // 10):
        file, chunk = places.pop()
        texts[file][chunk].append(text)
        possible = {
            "chunk": [place for place in places if place == (file, chunk)],
            "file": [place for place in places if place[0] == file and place[1] != chunk],
            "another file": [place for place in places if place[0] != file],
            "anywhere": places,
        }[where]
        copy = rng.choice(possible or places)
        places.remove(copy)
        texts[copy[0]][copy[1]].append(text)
    for number, (file, chunk) in enumerate(places):
        texts[file][chunk].append(1_000_000 + number)
    return texts


def sampled(
    texts: list[list[list[int]]], files: int, share: float, rng: random.Random
) -> tuple[FoundCopies, SamplingFrame]:
    """What a sample of chunks of some files shows."""
    chosen = sorted(rng.sample(range(FILES), files))
    cuts = [(file, chunk) for file in chosen for chunk in range(CHUNKS)]
    cuts = sorted(rng.sample(cuts, round(share * len(cuts))))
    frame = SamplingFrame(
        [file for file, _ in cuts], [100] * len(cuts), dict.fromkeys(chosen, 100 * CHUNKS), FILES, 100 * CHUNKS * FILES
    )
    inside = [Counter(texts[file][chunk]) for file, chunk in cuts]
    spread = [[n for n, counts in enumerate(inside) if text in counts] for text in set().union(*inside)]
    near = [counts.total() - len(counts) for counts in inside]
    return FoundCopies([counts.total() for counts in inside], near, [each for each in spread if len(each) > 1]), frame


@pytest.mark.parametrize(("files", "share"), [(2, 1.0), (4, 1.0), (8, 0.25), (8, 0.5)])
@pytest.mark.parametrize("where", ["anywhere", "chunk", "file", "another file"])
def test_nine_in_ten_intervals_contain_the_truth(where: str, files: int, share: float) -> None:
    """Whether copies are next to a page, in its file or elsewhere, and whole files or chunks are sampled."""
    rng, covered, values = random.Random(5), 0, []
    texts = corpus(where, 7)
    truth = 1 - len({text for file in texts for chunk in file for text in chunk}) / (FILES * CHUNKS * CHUNK)
    for _ in range(60):
        interval = project_duplicates(*sampled(texts, files, share, rng))
        covered += truth in interval
        values.append(interval.value)
    assert covered >= 51
    assert sum(values) / 60 == pytest.approx(truth, rel=0.15)


def test_one_file_of_several_leaves_open_what_others_repeat() -> None:
    """The interval reaches from the copies inside the file to those there are if other files repeat as much."""
    texts = corpus("anywhere", 3)
    truth = 1 - len({text for file in texts for chunk in file for text in chunk}) / (FILES * CHUNKS * CHUNK)
    found, frame = sampled(texts, 1, 1.0, random.Random(1))
    interval = project_duplicates(found, frame)
    assert interval.low <= found.share <= truth <= interval.high


def test_everything_is_a_point() -> None:
    """If all was sampled, the share is that of the sample."""
    found, frame = sampled(corpus("anywhere", 3), FILES, 1.0, random.Random(1))
    assert project_duplicates(found, frame) == point(found.share)
