"""README.md of a run: a dataset card for the Hugging Face Hub and `datasets`, with corpus/*.parquet as its data.

It is at the root because corpus/ must contain only Parquet files: pandas, pyarrow and polars fail on any other file in
a folder that they open. Its content depends only on the recipe and the counts of the run: equal runs have equal cards.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from curation.jobs.steps.plan import Plan
from curation.jobs.steps.report.facts import STEP
from curation.jobs.steps.report.likeness import likeness
from curation.recipes.recipe import Recipe, setting, to_toml
from curation.report.counting import NO_DAY
from curation.report.excerpts import harmless
from curation.report.funnel import Row, funnel_rows
from curation.store import schema
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, read_manifest
from curation.store.paths import DATASET_CARD, RUN
from curation.store.shards import Output
from curation.store.untrusted import is_local

EARLIER_CARD = "corpus/README.md"
"""Where the card was up to version 0.1.0."""

MARKER = "<!-- Written by `curate report`, which replaces this file. Delete this line to keep your changes. -->"

REASONS = 4
"""Reasons listed for each stage, the most frequent first."""

LANGUAGES = 40
"""Languages listed, the most frequent first."""

ARCHIVES = 20
"""Archives named, in input order."""

IN_COMMAND = 3
"""Archives named in the command; more are in a list."""

DOMAINS = 10
"""Domains listed, those with the most documents first."""

COMMON_CRAWL = "CC-MAIN-"
"""How the names of Common Crawl's dumps begin."""

SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")

_DTYPES = {pa.string(): "string", pa.int64(): "int64", pa.float64(): "float64"}

COLUMNS = {
    "text": "the text, edited by the stages below, with personal data replaced",
    "id": "the WARC-Record-ID",
    "dump": "the crawl that the archive is part of",
    "url": "the URL of the page",
    "date": "when the page was crawled, ISO 8601",
    "file_path": "the path of the archive or file",
    "language": "the most probable language",
    "language_score": "the probability of that language",
    "token_count": "number of tokens, by the tokenizer of the run",
    "minhash_cluster_size": "number of documents in its near-duplicate cluster, itself included",
    "warc_offset": "byte offset of the record in the archive",
    "row": "number of the row or line in the file, from 0, for documents that are not from an archive",
}


def foreign_readmes(folder: Folder) -> list[str]:
    """README.md files that a user wrote or edited: without the marker, and not as the last report wrote them."""
    report = read_manifest(folder, STEP, WHOLE)
    written = [(output.path, output.bytes, output.hash) for output in report.outputs] if report else []
    existing = [path for path in (DATASET_CARD, EARLIER_CARD) if folder.exists(path)]
    others = [path for path in existing if (path, *folder.hash(path)) not in written]
    return [path for path in others if MARKER.encode() not in folder.read(path)]


def write_card(plan: Plan, stats: Mapping[str, Any], foreign: Sequence[str]) -> list[Output]:
    """Write the card once there is a corpus, and remove the one that earlier versions wrote into corpus/.

    Args:
        plan: The run.
        stats: The content of report/stats.json.
        foreign: README.md files to leave as they are, from `foreign_readmes`.

    Returns:
        The card, or nothing if none was written.
    """
    if EARLIER_CARD not in foreign:
        plan.folder.remove(EARLIER_CARD)
    if DATASET_CARD in foreign or not stats["shards"]["corpus"]:
        return []
    data = card(plan, stats).encode()
    return [Output(DATASET_CARD, len(data), plan.folder.write(DATASET_CARD, data), 0)]


def card(plan: Plan, stats: Mapping[str, Any]) -> str:
    """The text of the card: YAML metadata between two lines of dashes, then Markdown."""
    metadata = "\n".join(_yaml(_metadata(stats)))
    return f"---\n{metadata}\n---\n\n{MARKER}\n\n" + "\n".join(_body(plan, stats)) + "\n"


def size_category(documents: int) -> str:
    """The Hub's name for a number of rows.

    >>> size_category(999), size_category(20_000), size_category(3 * 10**12)
    ('n<1K', '10K<n<100K', 'n>1T')
    """
    steps = [10 ** (3 + power) for power in range(len(SIZES))]
    above = [name for name, least in zip(SIZES, steps, strict=True) if documents >= least]
    if not above:
        return f"n<{SIZES[0]}"
    return f"n>{SIZES[-1]}" if len(above) == len(SIZES) else f"{above[-1]}<n<{SIZES[len(above)]}"


def _metadata(stats: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata for the Hub. The texts belong to their authors, so whoever publishes them has to choose a license."""
    features = [{"name": part.name, "dtype": _DTYPES[part.type]} for part in schema.DOCUMENT]
    kept = [name for name, counts in stats["languages"].items() if counts["kept"]]
    languages = [name for name in kept if re.fullmatch(r"[a-z]{2,3}", name)][:LANGUAGES]
    return {
        "pretty_name": harmless(stats["recipe"]),
        "license": "other",
        "license_name": "not-stated",
        **({"language": languages} if languages else {}),
        "task_categories": ["text-generation"],
        "size_categories": [size_category(_documents(stats))],
        "tags": ["web", "pretraining", "curation"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "corpus/*.parquet"}]}],
        "dataset_info": {"features": features},
    }


def _documents(stats: Mapping[str, Any]) -> int:
    return int(stats["stages"]["pii"]["documents_out"]) if "pii" in stats["stages"] else 0


def _yaml(value: Any, indent: int = 0) -> Iterator[str]:
    """Lines of YAML for mappings, lists and strings; strings are quoted as in JSON, which YAML reads the same way."""
    space = " " * indent
    entries = value.items() if isinstance(value, dict) else ((None, part) for part in value)
    for key, part in entries:
        head = f"{space}- " if key is None else f"{space}{key}:"
        if isinstance(part, (dict, list)):
            inner = list(_yaml(part, indent + 2))
            if key is None:
                yield head + inner[0].lstrip()
                yield from inner[1:]
            else:
                yield head
                yield from inner
        else:
            yield f"{head}{'' if key is None else ' '}{json.dumps(part, ensure_ascii=False)}"


def _body(plan: Plan, stats: Mapping[str, Any]) -> Iterator[str]:
    recipe, tokens = plan.recipe, stats["tokens"].get("corpus_tokens")
    rows = funnel_rows(stats)
    yield f"# {_plain(recipe.name)}"
    yield ""
    yield _plain(recipe.description) if recipe.description else "Text from web archives."
    yield from _likeness(recipe)
    yield ""
    size = f"{_documents(stats):,} documents" + (f", {tokens:,} tokens" if tokens is not None else "")
    yield f"{size}, from {stats['shards']['corpus']:,} of {stats['shards']['inputs']:,} archives."
    if stats["shards"]["corpus"] + len(stats["quarantined"]) < stats["shards"]["inputs"]:
        yield "The run is not finished."
    yield ""
    yield from (
        "```python",
        "from datasets import load_dataset",
        "",
        'corpus = load_dataset("PATH/OF/THIS/FOLDER", split="train")',
        "```",
    )
    yield ""
    yield from ("## Columns", "", "| column | type | |", "|---|---|---|")
    yield from (f"| `{part.name}` | {_DTYPES[part.type]} | {COLUMNS[part.name]} |" for part in schema.DOCUMENT)
    yield from ("", "## Source", "", "| | |", "|---|---|", *_source(plan, stats))
    yield from (
        "",
        "## How it was made",
        "",
        "Documents into and out of each stage, and the most frequent reasons for removal.",
    )
    yield from ("", "| stage | in | out | removed for |", "|---|---:|---:|---|", *map(_row, rows))
    yield from ("", "## Languages", "", "| language | documents |", "|---|---:|", *_languages(stats))
    version = str(plan.folder.read_json(RUN)["versions"].get("curation"))
    made = f"curation {_plain(version)}; `run.json` has the versions of all libraries"
    yield from ("", "## Recipe", "", f"Fingerprint `{stats['fingerprint']}`, made by {made}.", "", "```sh")
    yield from (_block(_command(plan)), "```", "")
    yield from ("The recipe with all its keys, for `--recipe recipe.toml`:", "", "```toml")
    yield from (_block(to_toml(recipe.resolved())), "```", "", "## Rights, opt-outs and limits", "", *_rights(stats))


def _likeness(recipe: Recipe) -> Iterator[str]:
    """What the recipe reproduces; for one made from a built-in recipe, how it differs from that one."""
    like = likeness(recipe)
    if like is not None and like.changes:
        yield from ("", f"As `{like.base}`, except:", "")
        yield from (f"- {_plain(change.text)}" for change in like.changes)
    elif recipe.reproduces:
        yield f"The recipe reproduces {_plain(recipe.reproduces)}."


def _command(plan: Plan) -> str:
    """The command that makes the same corpus from the same archives."""
    names = [_name(source.path) for source in plan.inputs]
    words = ["curate", "run", *(names if len(names) <= IN_COMMAND else ["@archives.txt"]), "--out", "DIR"]
    like = likeness(plan.recipe)
    if like is None or any(change.kind != "value" for change in like.changes):
        words += ["--recipe", "recipe.toml"]
    else:
        words += ["--recipe", like.base]
        words += [word for change in like.changes for word in ("--set", setting(change.key, change.after))]
    return shlex.join(words)


def _name(path: str) -> str:
    """The URL of an archive, or the name of a local file."""
    return path.rpartition("/")[2] if is_local(path) else path


def _source(plan: Plan, stats: Mapping[str, Any]) -> Iterator[str]:
    """Rows of a table: where the documents come from."""
    dumps = [f"{_plain(name)} ({counts['kept']:,} documents)" for name, counts in stats["dumps"].items()]
    days = [_plain(day) for day, counts in stats["days"].items() if counts["kept"] and day != NO_DAY]
    kept = {name: counts["kept"] for name, counts in stats["domains"].items() if counts["kept"]}
    domains = sorted(kept.items(), key=lambda entry: (-entry[1], entry[0]))[:DOMAINS]
    names = [f"`{_inline(_name(source.path))}`" for source in plan.inputs[:ARCHIVES]]
    more = [f"{len(plan.inputs) - ARCHIVES:,} more in `run.json`"] if len(plan.inputs) > ARCHIVES else []
    total = sum(source.size for source in plan.inputs)
    yield f"| crawl | {', '.join(dumps) or 'not named by the archives'} |"
    yield f"| crawled | {' to '.join(dict.fromkeys([days[0], days[-1]])) if days else 'not known'} |"
    yield f"| archives | {len(plan.inputs):,}, {total:,} bytes: {', '.join([*names, *more])} |"
    yield f"| most frequent sites | {', '.join(f'{_plain(name)} ({count:,})' for name, count in domains)} |"


def _rights(stats: Mapping[str, Any]) -> Iterator[str]:
    """Paragraphs on rights, opt-outs and personal data."""
    yield "The texts belong to their authors. No license is stated here; whoever publishes them has to choose one."
    if any(name.startswith(COMMON_CRAWL) for name in stats["dumps"]):
        yield "The pages are from Common Crawl, whose [terms of use](https://commoncrawl.org/terms-of-use) apply."
    yield ""
    yield "Whether a page could be crawled was decided by the crawler. This corpus was made without looking at"
    yield "robots.txt or at opt-outs declared since. To leave out the pages of owners who object, list their domains in"
    yield "`url.extra_domains`, run again with `--update`, and publish the result."
    yield ""
    yield "Personal data was found by patterns and checksums, and replaced. Some will remain."


def _block(text: str) -> str:
    """A text to put between lines of three backticks."""
    return harmless(text).replace("```", "` ` `").rstrip()


def _inline(text: str) -> str:
    """A text to put between backticks in a table."""
    return " ".join(harmless(text).split()).replace("`", "'").replace("|", "\\|")


def _row(row: Row) -> str:
    reasons = ", ".join(f"{_plain(reason.name)} {reason.documents:,}" for reason in row.reasons[:REASONS])
    return f"| {_plain(row.stage)} | {row.entered:,} | {row.left:,} | {reasons} |"


def _languages(stats: Mapping[str, Any]) -> Iterator[str]:
    kept = [(name, counts["kept"]) for name, counts in stats["languages"].items() if counts["kept"]]
    for name, count in kept[:LANGUAGES]:
        yield f"| {_plain(name) or '(none)'} | {count:,} |"


def _plain(text: str) -> str:
    """A text as one line of Markdown, with special characters escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(harmless(text).split()))
