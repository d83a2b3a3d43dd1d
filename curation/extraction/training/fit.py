"""Training and measuring the model of the extractor "blocks".

LightGBM grows the trees (one thread, fixed seed: the same pages give the same bytes). Quality is measured on domains
that the model has not seen.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import numpy as np

from curation.arrays import Float64s, Int64s
from curation.errors import UsageError
from curation.extraction.blocks.extract import main_text
from curation.extraction.blocks.measure import measure
from curation.extraction.blocks.model import Model, Trees
from curation.extraction.blocks.parse import Page, parse
from curation.extraction.training.gold import GoldPage
from curation.extraction.training.labels import block_texts, label, label_by_snippets, words_of
from curation.extraction.training.vocabulary import Counted, PageTokens, count_page

PARAMETERS = {
    "objective": "cross_entropy", "num_leaves": 31, "learning_rate": 0.08, "min_data_in_leaf": 40,
    "feature_fraction": 0.5, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 2.0, "seed": 1, "num_threads": 1,
    "deterministic": True, "force_row_wise": True, "verbose": -1,
}  # fmt: skip
TREES = 80
CAUTION = 0.5
"""Subtracted from all log-odds. Blocks count by the square root of their words in training, in a text by their words,
and main text that is left out costs less than boilerplate that is taken in; the value is the best in cross-validation.
"""
SNIPPET_WEIGHT = 1.0
"""Weight of a block labeled by a snippet, where the blocks of a page with full text have 20 in all."""
_PLAIN_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class LabeledPage:
    """A page prepared for training.

    Attributes:
        gold: The annotated page.
        page: The page as arrays.
        domain: Its registered domain.
        words: Words of each block.
        shares: Share of main text of each block.
        weights: Weight of each block in training; 0 if its share is not known.
        counts: Its tokens.
    """

    gold: GoldPage
    page: Page
    domain: str
    words: Int64s
    shares: Float64s
    weights: Float64s
    counts: PageTokens


def prepare(gold: GoldPage) -> LabeledPage:
    """Parse and label a page."""
    page = parse(np.frombuffer(gold.html.encode(), np.uint8))
    blocks = [words_of(text) for text in block_texts(page)]
    words = np.array([len(each) for each in blocks], np.int64)
    if gold.text is not None:
        shares, known = label(blocks, gold.text), np.ones(len(blocks), bool)
        weights = np.sqrt(words) / max(np.sqrt(words).sum(), 1.0) * 20
    else:
        shares, known = label_by_snippets(blocks, gold.wanted, gold.unwanted)
        weights = np.where(known, SNIPPET_WEIGHT, 0.0)
    counts = count_page(page, shares, np.where(known, words, 0))
    return LabeledPage(gold, page, gold.domain, words, shares, weights, counts)


def train(examples: Sequence[LabeledPage], trees: int = TREES) -> Model:
    """Train a model.

    Args:
        examples: The pages.
        trees: Number of trees.

    Raises:
        UsageError: LightGBM is not installed, or there is nothing to learn from.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise UsageError('training needs LightGBM: pip install "curation[extractor]"') from error
    counted = Counted(
        [each.counts for each in examples],
        [each.domain for each in examples],
        [int(each.gold.kind not in ("", "article")) for each in examples],
    )
    rows, shares, weights = [], [], []
    for domain, members in sorted(_by(examples, lambda each: each.domain).items()):
        vocabulary = counted.vocabulary(without=domain)
        for each in members:
            known = each.weights > 0
            rows.append(measure(each.page, vocabulary)[known])
            shares.append(each.shares[known])
            weights.append(each.weights[known])
    features, target = np.concatenate(rows), np.concatenate(shares)
    if len(target) == 0 or target.min() == target.max():
        raise UsageError("the annotated pages have no main text, or nothing else")
    data = lightgbm.Dataset(features, target, weight=np.concatenate(weights))
    booster = lightgbm.train(PARAMETERS, data, trees)
    return Model(counted.vocabulary(), to_trees(booster.model_to_string(), -CAUTION))


def to_trees(text: str, shift: float = 0.0) -> Trees:
    """The trees of a LightGBM model as arrays, from its text format; `shift` is added to the log-odds of all rows."""
    roots: list[int] = []
    features: list[int] = []
    thresholds: list[float] = []
    children: list[list[int]] = []
    leaves: list[float] = []
    for section in text.split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in section.splitlines() if "=" in line)
        base, first_leaf = len(features), len(leaves)
        leaves += [float(value) + (0 if roots else shift) for value in lines["leaf_value"].split()]
        if int(lines["num_leaves"]) == 1:
            roots.append(~first_leaf)
            continue
        roots.append(base)
        features += [int(value) for value in lines["split_feature"].split()]
        thresholds += [float(value) for value in lines["threshold"].split()]
        for left, right in zip(lines["left_child"].split(), lines["right_child"].split(), strict=True):
            children.append([int(n) + base if int(n) >= 0 else int(n) - first_leaf for n in (left, right)])
    exact = np.array(thresholds, np.float64)
    rounded = exact.astype(np.float32)  # the largest value in single precision that still goes left
    rounded = np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return Trees(
        np.array(roots, np.int32),
        np.array(features, np.int32),
        rounded.astype(np.float32),
        np.array(children, np.int32).reshape(-1, 2),
        np.array(leaves, np.float32),
    )


@dataclass(slots=True)
class Report:
    """Quality on pages of domains that the model had not seen.

    Attributes:
        f1: Word F1 of each page with full text, by its kind.
        wanted: Share of wanted snippets that are in the text.
        unwanted: Share of unwanted snippets that are in the text.
    """

    f1: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wanted: list[bool] = field(default_factory=list)
    unwanted: list[bool] = field(default_factory=list)

    def add(self, gold: GoldPage, text: str) -> None:
        """Add a page."""
        if gold.text is not None:
            self.f1[gold.kind].append(word_f1(text, gold.text))
        found = text.lower()
        self.wanted += [snippet.lower() in found for snippet in gold.wanted]
        self.unwanted += [snippet.lower() in found for snippet in gold.unwanted]

    def figures(self) -> dict[str, Any]:
        """The figures by name, for printing."""
        every = [value for values in self.f1.values() for value in values]
        figures: dict[str, Any] = {"pages": len(every), "f1": round(mean(every), 4) if every else None}
        figures["by_type"] = {kind: [round(mean(values), 4), len(values)] for kind, values in sorted(self.f1.items())}
        for name, hits in (("wanted", self.wanted), ("unwanted", self.unwanted)):
            figures[f"{name}_snippets"] = round(mean(hits), 4) if hits else None
        return figures


def word_f1(text: str, gold: str) -> float:
    """F1 of two multisets of words in lower case; 1 if both are empty."""
    found, wanted = (Counter(_PLAIN_WORD.findall(each.lower())) for each in (text, gold))
    if not found and not wanted:
        return 1.0
    return 2 * (found & wanted).total() / (found.total() + wanted.total())


def cross_validate(
    examples: Sequence[LabeledPage],
    folds: int,
    trees: int = TREES,
) -> dict[str, str]:
    """The text of each page by a model trained on the pages of other domains.

    Args:
        examples: The pages.
        folds: Number of groups of domains; each is left out once.
        trees: Number of trees.

    Returns:
        Texts by URL.
    """
    domains = sorted({each.domain for each in examples})
    np.random.default_rng(0).shuffle(domains)
    fold_of = {domain: place % folds for place, domain in enumerate(domains)}
    texts = {}
    for fold in range(folds):
        model = train([each for each in examples if fold_of[each.domain] != fold], trees)
        for each in examples:
            if fold_of[each.domain] == fold:
                texts[each.gold.url] = main_text(each.gold.html.encode(), model)
    return texts


def _by(examples: Sequence[LabeledPage], key: Callable[[LabeledPage], str]) -> dict[str, list[LabeledPage]]:
    groups: dict[str, list[LabeledPage]] = defaultdict(list)
    for each in examples:
        groups[key(each)].append(each)
    return groups
