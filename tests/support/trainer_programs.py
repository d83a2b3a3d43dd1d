"""Programs that read tokens with PyTorch and real trainers, in an environment of their own: `make peers`.

    PYTHON tests/support/trainer_programs.py NAME FOLDER

tests/tokenize/loading/test_trainers.py runs them; each exits with code 0 if everything is as it should be. Those for
two ranks are started twice, with the variables that torchrun sets.
"""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from curation.errors import InputError
from curation.tokenize.loading.loader import TokenDataset, TokenLoader

SIZE = 8
"""Rows per step of all ranks."""


@contextmanager
def refused(words: str) -> Iterator[None]:
    """Like pytest.raises, which is not in this environment: an InputError with these words, also from a worker."""
    raised = ""
    try:
        yield
    except InputError as error:
        raised = str(error)
    assert raised
    assert words in raised, raised


def rows(batches: Iterable[dict[str, Any]]) -> list[list[list[int]]]:
    """The ids of each batch."""
    return [batch["input_ids"].tolist() for batch in batches]


def loading(dataset: TokenDataset, workers: int, **options: Any) -> DataLoader[Any]:
    return DataLoader(dataset, batch_size=None, num_workers=workers, **options)


def plain(run: str) -> None:
    """DataLoader of PyTorch, with and without worker processes, forked and spawned."""
    first, second = rows(TokenLoader(run, SIZE, seed=1, epochs=1)), TokenLoader(run, SIZE, seed=1, epochs=1)
    second.set_epoch(1)
    other = rows(second)
    assert first != other
    dataset = TokenDataset(run, SIZE, seed=1, epochs=1)
    dataset.load_state_dict(dataset.state_at(2 * SIZE))
    spawned = loading(dataset, 2, multiprocessing_context="spawn", persistent_workers=True)
    assert rows(spawned) == first[2:]
    dataset.set_epoch(1)
    assert rows(spawned) == other
    for workers in (0, 3):
        dataset = TokenDataset(run, SIZE, seed=1, epochs=1)
        loader = loading(dataset, workers)
        assert len(loader) == len(first)
        batch = next(iter(loading(dataset, 0)))
        assert batch["input_ids"].dtype == torch.int64
        assert batch["input_ids"].shape == (SIZE, dataset.loader.sequence_length)
        dataset.load_state_dict(dataset.state_at(0))
        assert rows(loader) == first
        assert rows(loader) == first  # as an evaluation loop expects
        dataset.set_epoch(1)
        assert rows(loader) == other
        dataset.load_state_dict({**dataset.state_at(3 * SIZE), "epoch": 0})
        dataset.set_epoch(0)
        assert rows(loader) == first[3:]
        if workers:
            with refused("before"):
                rows(loader)
        dataset.set_epoch(1)
        assert rows(loader) == other


def persistent(run: str) -> None:
    """Workers that stay: they follow set_epoch and load_state_dict, and refuse what they cannot know."""
    expected = rows(itertools.islice(TokenLoader(run, SIZE, seed=1), 20))
    dataset = TokenDataset(run, SIZE, seed=1)
    loader = loading(dataset, 2, persistent_workers=True)
    assert rows(itertools.islice(loader, 5)) == expected[:5]
    with refused("state_at"):
        dataset.state_dict()
    with refused("read from this position before"):
        next(iter(loader))
    dataset.load_state_dict(dataset.state_at(5 * SIZE))
    assert dataset.state_dict()["rows"] == 5 * SIZE
    assert rows(itertools.islice(loader, 5)) == expected[5:10]
    dataset.load_state_dict(dataset.state_at(2 * SIZE))
    batches = iter(loader)
    next(batches)
    dataset.load_state_dict(dataset.state_at(0))
    with refused("while worker processes were reading"):
        rows(itertools.islice(batches, 20))
    with refused("another order"):
        dataset.load_state_dict({"rows": 0, "order": "other"})
    alone = TokenDataset(run, SIZE, seed=1)
    rows(itertools.islice(alone, 3))
    assert rows(itertools.islice(loading(alone, 2), 3)) == expected[3:6]


def copies(run: str) -> None:
    """A copied or pickled dataset has the position of the original, and a position of its own."""
    expected = rows(itertools.islice(TokenLoader(run, SIZE, seed=1), 6))
    dataset = TokenDataset(run, SIZE, seed=1)
    rows(itertools.islice(dataset, 2))
    for copied in (copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert rows(itertools.islice(loading(copied, 2), 4)) == expected[2:]
        copied.load_state_dict(copied.state_at(0))
        assert dataset.state_dict()["rows"] == 2 * SIZE


def batching(run: str) -> None:
    """A DataLoader that would make batches of batches is refused, with and without workers."""
    for workers, size in itertools.product((0, 2), (1, 4)):
        with refused("batch_size=None"):
            next(iter(DataLoader(TokenDataset(run, SIZE), batch_size=size, num_workers=workers)))


def stateful(run: str) -> None:
    """StatefulDataLoader resumes at exactly the next batch after any step, within and between iterations."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    def make(workers: int, **options: Any) -> tuple[TokenDataset, Any]:
        dataset = TokenDataset(run, SIZE, seed=1, epochs=1)
        return dataset, StatefulDataLoader(dataset, batch_size=None, num_workers=workers, **options)

    first = rows(TokenLoader(run, SIZE, seed=1, epochs=1))
    later = TokenLoader(run, SIZE, seed=1, epochs=1)
    later.set_epoch(1)
    second = rows(later)
    for workers, options in ((0, {}), (2, {}), (3, {"persistent_workers": True}), (2, {"snapshot_every_n_steps": 3})):
        states = []
        dataset, loader = make(workers, **options)
        for epoch, expected in enumerate((first, second)):
            dataset.set_epoch(epoch)
            found = []
            for batch in loader:
                found.append(batch["input_ids"].tolist())
                states.append((epoch, len(found), pickle.dumps(loader.state_dict())))
            assert found == expected
        ended = pickle.dumps(loader.state_dict())
        total = len(first)
        for epoch, step, state in states[:2] + states[total - 2 : total + 2] + states[-1:]:
            dataset, loader = make(workers, **options)
            loader.load_state_dict(pickle.loads(state))
            assert rows(loader) == (first, second)[epoch][step:], (workers, epoch, step)
            dataset.set_epoch(1)
            assert rows(loader) == second
        dataset, loader = make(workers, **options)
        loader.load_state_dict(pickle.loads(ended))
        dataset.set_epoch(1)
        assert rows(loader) == second
    dataset, loader = make(2)
    next(iter(loader))
    with refused("StatefulDataLoader"):
        dataset.load_state_dict({**dataset.state_at(8), "worker": 0, "workers": 2})


def accelerate_ranks(run: str) -> None:
    """accelerate on two ranks: it divides what is not divided, and refuses what is."""
    from accelerate import Accelerator, DataLoaderConfiguration

    rank = int(os.environ["RANK"])
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    expected = rows(TokenLoader(run, SIZE, seed=1, epochs=1))
    whole = TokenDataset(run, SIZE, seed=1, epochs=1)
    prepared = accelerator.prepare(loading(whole, 0))
    assert rows(prepared) == expected[rank : len(expected) // 2 * 2 : 2]
    later = TokenLoader(run, SIZE, seed=1, epochs=1)
    later.set_epoch(1)
    assert rows(prepared) == rows(later)[rank : len(expected) // 2 * 2 : 2]
    for workers in (0, 2):
        part = TokenDataset(run, SIZE, seed=1, epochs=1, rank=rank, world_size=2)
        half = [batch[rank * SIZE // 2 : (rank + 1) * SIZE // 2] for batch in expected]
        assert rows(loading(part, workers)) == half
        with refused("accelerate divides"):
            next(iter(accelerator.prepare(loading(part, workers))))
    with refused("batch_size=None"):
        next(iter(accelerator.prepare(DataLoader(whole, batch_size=2))))
    accelerator.dataloader_config = DataLoaderConfiguration(dispatch_batches=False)
    with refused("batch_size=None"):
        next(iter(accelerator.prepare(DataLoader(whole, batch_size=2))))
    with refused("accelerate divides"):
        next(iter(accelerator.prepare(DataLoader(part, batch_size=2))))
    accelerator.wait_for_everyone()
    accelerator.end_training()


def trainer_ranks(run: str) -> None:
    """transformers' Trainer on two ranks, as docs/tokens.md shows: every row of each step once, and exact resume."""
    import tempfile

    import torch.distributed as dist
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

    rank = int(os.environ["RANK"])
    seen: list[list[list[int]]] = []

    class Model(LlamaForCausalLM):  # type: ignore[misc]
        def forward(self, input_ids: Any = None, **inputs: Any) -> Any:
            seen.append(input_ids.tolist())
            assert inputs["labels"].shape == input_ids.shape
            return super().forward(input_ids, **inputs)

    dataset = TokenDataset(run, SIZE, seed=1, rank=rank, world_size=2, positions=True)

    def labeled(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        ids = batch["input_ids"]
        return {"input_ids": ids, "labels": ids.masked_fill(batch["segment_ids"] < 0, -100)}

    class TokenTrainer(Trainer):  # type: ignore[misc]
        def get_train_dataloader(self) -> Any:
            workers = self.args.dataloader_num_workers
            return DataLoader(self.train_dataset, batch_size=None, num_workers=workers, collate_fn=labeled)

    def train(folder: str, steps: int, kind: type = TokenTrainer, **options: Any) -> list[list[list[int]]]:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=dataset.loader.vocabulary, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
            num_attention_heads=1, max_position_embeddings=64,
        )  # fmt: skip
        arguments = TrainingArguments(
            folder, max_steps=steps, save_steps=3, use_cpu=True, report_to=[], disable_tqdm=True, ddp_backend="gloo",
            dataloader_num_workers=options.pop("workers", 0), save_only_model=True,
        )  # fmt: skip
        seen.clear()
        trainer = kind(Model(config), arguments, train_dataset=dataset)
        trainer.train(**options)
        return list(seen)

    expected = rows(itertools.islice(TokenLoader(run, SIZE, seed=1, rank=rank, world_size=2), 6))
    folders: list[Any] = [tempfile.mkdtemp() if rank == 0 else None]
    for workers in (0, 2):
        dataset.load_state_dict(dataset.state_at(0))
        if rank == 0:
            folders = [tempfile.mkdtemp()]
        if not dist.is_initialized():
            TrainingArguments(tempfile.mkdtemp(), use_cpu=True, ddp_backend="gloo").device  # noqa: B018
        dist.broadcast_object_list(folders, 0)
        assert train(folders[0], 3, workers=workers) == expected[:3]
        dataset.load_state_dict(dataset.state_at(0))
        assert train(folders[0], 6, workers=workers, resume_from_checkpoint=True) == expected[3:]
    dataset.load_state_dict(dataset.state_at(0))
    with refused(""):
        train(folders[0], 1, Trainer)
    dist.barrier()
    dist.destroy_process_group()


def ranks(folder: str) -> None:
    """tiktoken reads tokenizer.tiktoken and gives the ids of tokenizer.json for the texts in texts.json."""
    import json
    from pathlib import Path

    import tiktoken
    from tiktoken.load import load_tiktoken_bpe
    from tokenizers import Tokenizer

    definition = (Path(folder) / "tokenizer.json").read_text()
    split = json.loads(definition)["pre_tokenizer"]["pretokenizers"][0]
    pattern, merged = split["pattern"]["Regex"], load_tiktoken_bpe(str(Path(folder) / "tokenizer.tiktoken"))
    theirs = tiktoken.Encoding("ours", pat_str=pattern, mergeable_ranks=merged, special_tokens={})
    ours = Tokenizer.from_str(definition)
    for text in json.loads((Path(folder) / "texts.json").read_text()):
        assert theirs.encode(text, disallowed_special=()) == ours.encode(text).ids, text


def formats(folder: str) -> None:
    """Megatron, OLMo-core, mosaicml-streaming and litdata read our files, and their writers write the same bytes.

    Args:
        folder: Has the exports, each in the folder of its format, and documents.json and rows.json with the ids.
    """
    import filecmp
    import json
    from pathlib import Path

    import litdata
    from litdata.streaming.item_loader import TokensLoader
    from litdata.streaming.writer import BinaryWriter
    from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder
    from olmo_core.data.numpy_dataset import NumpyFSLDataset
    from olmo_core.data.utils import get_document_indices, load_array_slice
    from streaming import MDSWriter, StreamingDataset

    root = Path(folder)
    documents, packed = (json.loads((root / f"{name}.json").read_text()) for name in ("documents", "rows"))
    length = len(packed[0])
    flat = [token for document in documents for token in document]
    blocks = [flat[at : at + length] for at in range(0, len(flat) - length + 1, length)]

    indexed = IndexedDataset(str(root / "megatron" / "train"))
    assert [indexed[number].tolist() for number in range(len(indexed))] == documents
    builder = IndexedDatasetBuilder(str(root / "built.bin"), dtype=np.uint16)
    for document in documents:
        builder.add_document(torch.tensor(document), [len(document)])
    builder.finalize(str(root / "built.idx"))
    for ending in ("bin", "idx"):
        assert filecmp.cmp(root / f"built.{ending}", root / "megatron" / f"train.{ending}", shallow=False), ending

    paths = sorted(str(path) for path in root.glob("olmo/*.npy"))
    assert len(paths) > 1
    places = [(path, *place) for path in paths for place in get_document_indices(path)]
    assert [load_array_slice(*place, np.uint16).tolist() for place in places] == documents
    ids = {"pad_token_id": 1, "eos_token_id": 0, "vocab_size": 999}
    for path in paths:
        read = NumpyFSLDataset(path, sequence_length=length, dtype=np.uint16, **ids)
        whole = np.fromfile(path, np.uint16)
        assert len(read) == len(whole) // length
        for number in range(len(read)):
            assert read[number]["input_ids"].tolist() == whole[number * length : (number + 1) * length].tolist()

    samples = StreamingDataset(local=str(root / "mds"), split="train", shuffle=False, batch_size=1)
    assert [samples[number]["tokens"].tolist() for number in range(len(samples))] == packed
    with MDSWriter(out=str(root / "mosaic"), columns={"tokens": f"ndarray:uint16:{length}"}) as written:
        for row in packed:
            written.write({"tokens": np.array(row, np.uint16)})
    for name in ("index.json", "shard.00000.mds"):
        assert filecmp.cmp(root / "mosaic" / name, root / "mds" / "train" / name, shallow=False), name

    chunked = litdata.StreamingDataset(str(root / "litdata" / "train"), item_loader=TokensLoader(length), shuffle=False)
    assert [chunked[number].tolist() for number in range(len(chunked))] == blocks
    piece = json.loads((root / "litdata" / "train" / "index.json").read_text())["config"]["chunk_size"]
    assert len(blocks) * length > 2 * piece
    writer = BinaryWriter(str(root / "lightning"), chunk_size=piece, item_loader=TokensLoader())
    for number, at in enumerate(range(0, len(flat), piece)):
        writer[number] = torch.tensor(flat[at : at + piece], dtype=torch.int32)
    writer.done()
    (root / "lightning" / "0.index.json").rename(root / "lightning" / "index.json")
    for path in sorted((root / "lightning").iterdir()):
        assert filecmp.cmp(path, root / "litdata" / "train" / path.name, shallow=False), path.name


def main() -> None:
    """Run the program that the arguments name."""
    programs: dict[str, Callable[[str], None]] = {
        program.__name__: program
        for program in (plain, persistent, copies, batching, stateful, accelerate_ranks, trainer_ranks, formats, ranks)
    }
    torch.set_num_threads(1)
    programs[sys.argv[1]](sys.argv[2])


if __name__ == "__main__":
    main()
