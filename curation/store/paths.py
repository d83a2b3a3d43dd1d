"""Where the files of a run are in its output folder; docs/contracts.md describes them for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curation.store.folder import Folder


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """The files of one kind, one per shard.

    >>> ShardFiles("removed/filter").path("web-1")
    'removed/filter/web-1.parquet'
    """

    folder: str
    suffix: str = ".parquet"

    def path(self, shard: str) -> str:
        """The file of a shard, relative to the output folder."""
        return f"{self.folder}/{shard}{self.suffix}"

    def shards(self, folder: Folder) -> list[str]:
        """The shards that have such a file, sorted."""
        return [self.shard(path) for path in folder.list(self.folder, self.suffix)]

    def shard(self, path: str) -> str:
        """The shard of a file; the inverse of `path`."""
        return path.removeprefix(f"{self.folder}/").removesuffix(self.suffix)


DOCUMENTS = ShardFiles("documents")
REMOVED_BY_FILTER = ShardFiles("removed/filter")
SIGNATURES = ShardFiles("signatures")
SIGNALS = ShardFiles("signals")

DROPS = ShardFiles("dedup/drop")
CLUSTERED = ShardFiles("dedup/kept")
LINE_CUTS = ShardFiles("dedup/lines")
PAIRS = ShardFiles("dedup/pairs")
LARGE_CLUSTERS = "dedup/large_clusters.parquet"
SHARD_NUMBERS = "dedup/shards.parquet"

CORPUS = ShardFiles("corpus")
REMOVED_BY_DEDUP = ShardFiles("removed/dedup")
CONTAMINATION = ShardFiles("decontamination")

TOKENIZER = "tokenizer/tokenizer.json"
TOKENIZER_CONFIG = "tokenizer/tokenizer_config.json"
TOKENIZER_RANKS = "tokenizer/tokenizer.tiktoken"
TOKENIZER_REPORT = "tokenizer/report.json"
TOKENS = ShardFiles("tokens")

STATS = "report/stats.json"
REPORT_PAGE = "report/index.html"
METRICS = "report/metrics.txt"
DATASET_CARD = "README.md"

RUN = "run.json"

UNFINISHED = "unfinished"
"""What the filter step needs until it is finished: parts of large archives, and the recipe before an update."""

RECIPE_BEFORE = f"{UNFINISHED}/recipe.json"

OF_REPORT = ("report", "manifests", DATASET_CARD)
"""What the report writes, directly in the output folder."""

OF_RUN = (
    RUN, "documents", "removed", "signatures", "signals", "dedup", "corpus", "decontamination", "tokenizer", "tokens",
    "encoded", "performance", UNFINISHED, *OF_REPORT,
)  # fmt: skip
"""What a run writes, directly in the output folder."""
