"""Deduplication as a job: the reference's clusters, known copies, survivors, and the same result for any shards."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
from archives import prose
from heuristic_cases import FULL
from pages import pages
from resiliparse.extract.html2text import extract_plain_text
from signed import PLAIN, clusters, documents, dropped, reference_clusters, run

from curation.dedup.settings import DedupSettings


@pytest.fixture(scope="module")
def web(shared_data: Path) -> tuple[list[str], list[str]]:
    """URLs and main texts of the shared pages."""
    texts = [(url, extract_plain_text(html, main_content=True)) for url, html in pages(shared_data)]
    return [url for url, _ in texts], [text for _, text in texts]


@pytest.fixture(scope="module")
def copies(shared_data: Path) -> list[dict[str, str]]:
    with gzip.open(shared_data / "gold" / "copies.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def test_clusters_equal_the_reference(web: tuple[list[str], list[str]], tmp_path: Path) -> None:
    """With the reference's signatures and no verification, clusters and removed documents equal datatrove's."""
    texts = [text if FULL else text[:1000] for text in web[1]]
    folder, names, _ = run(tmp_path / "ours", documents(texts), DedupSettings(**PLAIN), parts=5)
    expected, removed = reference_clusters(tmp_path / "theirs", texts)
    assert clusters(folder, names) == expected
    assert len(expected) > 150
    kept_by_them = {min(members - removed, key=int) for members in expected}
    assert len(dropped(folder, names)) == len(removed) == sum(map(len, expected)) - len(kept_by_them)
    assert {min(map(int, members)) for members in expected} == {
        int(next(iter(members - set(dropped(folder, names))))) for members in expected
    }


def test_known_copies(web: tuple[list[str], list[str]], copies: list[dict[str, str]], tmp_path: Path) -> None:
    """All exact copies are found, and edited ones at the rate that theory predicts for their true similarity."""
    urls, texts = web
    settings = DedupSettings()
    folder, names, _ = run(tmp_path, documents(texts), settings, parts=3)
    together = {name: members for members in clusters(folder, names) for name in members}
    removed = dropped(folder, names)
    place = {url: str(number) for number, url in enumerate(urls)}
    exact = [copy for copy in copies if copy["kind"] == "exact"]
    edited = [copy for copy in copies if copy["kind"] != "exact"]
    assert len(exact) == len(edited) == 80
    enough = [copy for copy in exact if len(texts[int(place[copy["copy"]])].split()) >= 5]
    for copy in enough:
        name, origin = place[copy["copy"]], place[copy["url"]]
        assert origin in together[name]
        assert {removed[one]["reason"] for one in (name, origin) if one in removed} <= {
            "exact_duplicate",
            "near_duplicate",
        }
    found, expected = 0, []
    for copy in edited:
        name, origin = place[copy["copy"]], place[copy["url"]]
        found += origin in together.get(name, ())
        expected.append(settings.probability(jaccard(texts[int(name)], texts[int(origin)])))
    spread = np.sqrt(sum(p * (1 - p) for p in expected))
    assert abs(found - sum(expected)) <= 4 * spread + 4


def jaccard(left: str, right: str) -> float:
    """True Jaccard similarity of word 5-grams of normalized texts, by the reference's functions."""
    from datatrove.utils.text import ngrams, simplify_text
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    words = load_word_tokenizer("eng")
    one, other = ({*ngrams(words.word_tokenize(simplify_text(text)), 5)} for text in (left, right))
    return len(one & other) / len(one | other) if one | other else 0.0


def test_articles(shared_data: Path, tmp_path: Path) -> None:
    """Among a thousand news texts, the ten known pairs are found and no others."""
    lines = (shared_data / "near-duplicates" / "articles_1000.train").read_text(encoding="utf-8").splitlines()
    rows = [{"id": line.split(" ", 1)[0], "text": line.split(" ", 1)[1]} for line in lines if " " in line]
    truth = (shared_data / "near-duplicates" / "articles_1000.truth").read_text().splitlines()
    folder, names, _ = run(tmp_path, rows, DedupSettings(), parts=2)
    assert clusters(folder, names) == {frozenset(line.split()) for line in truth if line.strip()}


def family(seed: int) -> list[str]:
    """A text, a copy of it, and two edits."""
    parts = prose(seed, 48)
    return [" ".join(parts), " ".join(parts), " ".join(parts[:-1]), " ".join([*parts[:-1], "The end came."])]


TEXTS = [text for seed in range(40) for text in family(seed)] + ["short", "short", ""]


def shuffled(seed: int) -> list[str]:
    return random.Random(seed).sample(TEXTS, len(TEXTS))


@pytest.mark.parametrize("parts", [2, 7, 50])
def test_results_do_not_depend_on_shards(tmp_path: Path, parts: int) -> None:
    """The same documents in the same order give the same drops, survivors and clusters in any number of shards."""
    answers = []
    for name, number in (("one", 1), ("many", parts)):
        folder, names, _ = run(tmp_path / name, documents(shuffled(1)), DedupSettings(), parts=number)
        removed = {
            key: {k: v for k, v in row.items() if k not in ("row", "survivor_shard", "survivor_row")}
            for key, row in dropped(folder, names).items()
        }
        answers.append((removed, clusters(folder, names)))
    assert answers[0] == answers[1]
    assert len(answers[0][1]) == 40


def test_short_texts_are_always_kept(tmp_path: Path) -> None:
    """Texts of fewer than five words are never duplicates."""
    folder, names, _ = run(tmp_path, documents(["short", "short", "", "", "a b c d"] * 2), DedupSettings())
    assert dropped(folder, names) == {}


def test_the_first_in_input_order_survives(tmp_path: Path) -> None:
    """By default the earliest document of a cluster is kept, and every other names it as its survivor."""
    folder, names, _ = run(tmp_path, documents(shuffled(2)), DedupSettings(), parts=4)
    removed = dropped(folder, names)
    for members in clusters(folder, names):
        first = min(members, key=int)
        assert first not in removed
        assert {removed[name]["survivor_id"] for name in members - {first}} == {first}
        assert {removed[name]["cluster_size"] for name in members - {first}} == {len(members)}


@pytest.mark.parametrize("rule", ["longest", "newest", "best:language_score"])
def test_other_survivors(tmp_path: Path, rule: str) -> None:
    """The longest, the newest, or the best by a column is kept; among equals, the first."""
    texts = shuffled(3)
    chance = random.Random(5)
    dates = [f"2024-0{chance.randint(1, 9)}-01T00:00:00Z" for _ in texts]
    scores = [chance.choice([0.1, 0.5, 0.9]) for _ in texts]
    rows = documents(texts, date=dates, language_score=scores)
    folder, names, _ = run(tmp_path, rows, DedupSettings(survivor=rule), parts=3)
    removed = dropped(folder, names)
    value = {
        "longest": lambda i: len(texts[i]),
        "newest": lambda i: dates[i],
        "best:language_score": lambda i: scores[i],
    }
    for members in clusters(folder, names):
        (survivor,) = members - set(removed)
        best = max(value[rule](int(name)) for name in members)
        assert int(survivor) == min(int(name) for name in members if value[rule](int(name)) == best)


def test_verification_rejects_pairs_that_only_share_a_band(tmp_path: Path) -> None:
    """Without verification, pairs far below the threshold are joined by chance; with it they are not."""
    base = prose(1, 96)
    texts = [" ".join([*base[: 12 + number % 3], *prose(100 + number, 40)]) for number in range(120)]
    loose, strict = ({"bands": 40, "rows": 2, "threshold": 0.8, "verify": verify} for verify in (False, True))
    joined = run(tmp_path / "loose", documents(texts), DedupSettings(**loose))
    kept = run(tmp_path / "strict", documents(texts), DedupSettings(**strict))
    assert len(dropped(*joined[:2])) > 0
    assert len(dropped(*kept[:2])) < len(dropped(*joined[:2]))
    assert all(row["similarity"] >= 0.7 for row in dropped(*kept[:2]).values())


def test_nothing_to_do(tmp_path: Path) -> None:
    """No shards, and shards without documents, are handled."""
    folder, names, found = run(tmp_path / "none", documents([]), DedupSettings())
    assert names == []
    assert found.counts["documents"] == 0
    folder, names, _ = run(tmp_path / "unique", documents([" ".join(prose(s)) for s in range(3)]), DedupSettings(), 3)
    assert dropped(folder, names) == {}


def test_disabled(tmp_path: Path) -> None:
    """With `enabled = false` every document is kept."""
    folder, names, _ = run(tmp_path, documents(shuffled(4)), DedupSettings(enabled=False), parts=2)
    assert dropped(folder, names) == {}
