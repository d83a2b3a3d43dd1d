"""The train-tokenizer step: corpus to tokenizer/tokenizer.json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from curation.cluster import Cluster
from curation.errors import StepFailed
from curation.jobs.plan import Plan
from curation.jobs.progress import Progress
from curation.manifest import WHOLE, Manifest, is_done
from curation.performance import Meter
from curation.shards import Output, read_shard
from curation.storage import Folder
from curation.tokenize.settings import TokenizerSettings
from curation.tokenize.tokenizer_json import tokenizer_config_json, tokenizer_json
from curation.tokenize.train import train

STEP = "train-tokenizer"
TOKENIZER, CONFIG = "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"


def train_tokenizer(plan: Plan, shards: Sequence[str], upstream: str, cluster: Cluster, progress: Progress) -> str:
    """Train on corpus/<shard>.parquet of the shards named, unless that is done; returns the step's fingerprint."""
    settings: TokenizerSettings = plan.recipe.table("tokenizer")
    folder = plan.folder
    mark = plan.table_fingerprint(STEP, "tokenizer", upstream=[upstream])
    done = is_done(folder, STEP, WHOLE, mark) is not None
    with progress.step(STEP, 1, int(done)) as bar:
        if not done:
            meter = Meter()
            trained = train(_texts(folder, shards), settings)
            if not trained.merges:
                raise StepFailed("train-tokenizer: the corpus has no text to learn merges from")
            outputs = [
                _write(folder, TOKENIZER, tokenizer_json(trained.vocabulary, trained.merges, settings)),
                _write(folder, CONFIG, tokenizer_config_json(settings)),
            ]
            size = len(trained.vocabulary) + len(settings.special_tokens)
            counts = {"vocab_size": size, "vocab_size_wanted": settings.vocab_size, "merges": len(trained.merges)}
            Manifest(STEP, WHOLE, mark, outputs=outputs, counts=counts).write(folder, meter.report())
            if size < settings.vocab_size:
                progress.warn(f"the corpus is too small for {settings.vocab_size:,} tokens: the tokenizer has {size:,}")
            bar.advance()
    return mark


def _texts(folder: Folder, shards: Sequence[str]) -> Iterator[str]:
    for shard in shards:
        for batch in read_shard(folder, f"corpus/{shard}.parquet", ["text"]):
            yield from batch["text"].to_pylist()


def _write(folder: Folder, path: str, data: bytes) -> Output:
    return Output(path, len(data), folder.write(path, data), 0)
