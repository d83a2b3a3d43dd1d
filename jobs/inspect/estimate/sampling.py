"""A seeded sample of the inputs: chunks of archives, copied record by whole record into a temporary folder.

An archive is divided every so many bytes, and each cut moved on to where the next record begins. So every record
belongs to one chunk, every chunk is an archive of its own, and a chunk anywhere in a file costs one read there. A file
that cannot be cut (one packed as a whole, say) is one chunk.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curation.archives.inputs import Input, base_name, find_inputs
from curation.archives.unpack import DICTIONARY, Unpacker
from curation.errors import UsageError
from curation.jobs.inspect.estimate.extrapolation import Frame
from curation.running.cluster import describe

SAMPLE_BYTES = 64 << 20
CHUNK_BYTES = (256 << 10, 4 << 20)
"""Bounds of a chunk: some ten pages, and a hundred or more."""

CHUNKS = 16
"""Wanted at least, since the spread between few chunks is not well known."""

COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What to read. bytes: at most about so many, over all files; files: from at most so many; None is all."""

    bytes: int = SAMPLE_BYTES
    files: int | None = None
    seed: int = 0


def sampling_of(
    words: Sequence[str], size: int | None, share: float | None, files: int | None, seed: int
) -> SampleRequest:
    """A sampling by bytes, or by a share of all inputs. UsageError if both are given or the share is none."""
    if size is not None and share is not None:
        raise UsageError("--sample-bytes and --sample-share are mutually exclusive")
    if share is not None:
        if not 0 < share <= 1:
            raise UsageError(f"--sample-share {share}: must be above 0 and at most 1")
        size = max(1, round(share * sum(source.size for source in find_inputs(words))))
    return SampleRequest(SAMPLE_BYTES if size is None else size, files, seed)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of an input; number: of the input in input order. stop: None is the end of the file."""

    source: Input
    number: int
    start: int
    stop: int | None


@dataclass(frozen=True, slots=True)
class InputSample:
    """The chunks drawn, as files of their own; "" for one of an input that could not be read, which gives nothing.

    unreadable: those inputs, with the cause.
    """

    chunks: tuple[Chunk, ...]
    paths: tuple[str, ...]
    frame: Frame
    unreadable: tuple[dict[str, str], ...]

    @property
    def is_whole(self) -> bool:
        """Whether it is all inputs, as they are."""
        return self.frame.is_whole


def draw(inputs: Sequence[Input], sampling: SampleRequest) -> list[Chunk]:
    """Chunks by seed, each as likely as any other of the files chosen, in input order; whole files if all fit."""
    dice = random.Random(sampling.seed)
    numbers = range(len(inputs))
    if sampling.files is not None and sampling.files < len(inputs):
        numbers = sorted(dice.sample(numbers, sampling.files))  # type: ignore[assignment]
    chosen = [(number, inputs[number]) for number in numbers]
    available = sum(source.size for _, source in chosen)
    if available <= sampling.bytes and len(chosen) == len(inputs):
        return [Chunk(source, number, 0, None) for number, source in chosen]
    least, most = CHUNK_BYTES
    step = min(most, max(least, min(available, sampling.bytes) // CHUNKS))
    cuts = [
        Chunk(source, number, at, at + step if at + step < source.size else None)
        for number, source in chosen
        for at in range(0, max(source.size, 1), step)
    ]
    wanted = max(2, round(sampling.bytes / step))
    if wanted >= len(cuts):
        return cuts
    return [cuts[place] for place in sorted(dice.sample(range(len(cuts)), wanted))]


def take(inputs: Sequence[Input], sampling: SampleRequest, folder: Path) -> InputSample:
    """Draw chunks and copy them below `folder`; a sample that is everything is left where it is."""
    drawn = draw(inputs, sampling)
    files = {chunk.number: chunk.source.size for chunk in drawn}
    total = sum(source.size for source in inputs)
    chunks: list[Chunk] = []
    paths: list[str] = []
    sizes: list[int] = []
    unreadable: dict[str, str] = {}
    whole = all(chunk.start == 0 and chunk.stop is None for chunk in drawn) and len(files) == len(inputs)
    for chunk in drawn:
        try:
            path, size = (chunk.source.path, chunk.source.size) if whole else _copy(chunk, folder / f"{len(paths):06d}")
        except (OSError, ValueError, EOFError) as error:
            unreadable[chunk.source.path] = describe(error)
            path, size = "", (chunk.stop or chunk.source.size) - chunk.start
        if size or path:
            chunks.append(chunk)
            paths.append(path)
            sizes.append(size)
    frame = Frame([chunk.number for chunk in chunks], sizes, files, len(inputs), total)
    named = tuple({"path": path, "cause": cause} for path, cause in unreadable.items())
    return InputSample(tuple(chunks), tuple(paths), frame, named)


def _copy(chunk: Chunk, folder: Path) -> tuple[str, int]:
    """The chunk as a file under the archive's own name, from which the dump is told. Returns path and bytes."""
    with chunk.source.open() as file:
        unpacker = Unpacker(file)
        start = unpacker.find(chunk.start) if chunk.start else 0
        stop = unpacker.find(chunk.stop) if chunk.stop is not None else None
        if start is None:
            return "", 0
        folder.mkdir(parents=True)
        path = folder / base_name(chunk.source.path)
        file.seek(0)
        head = file.read(8)
        with path.open("wb") as made:
            if start and head.startswith(DICTIONARY):
                file.seek(0)
                made.write(file.read(8 + int.from_bytes(head[4:8], "little")))
            file.seek(start)
            left = chunk.source.size - start if stop is None else stop - start
            size = left
            while left > 0 and (data := file.read(min(left, COPY_BYTES))):
                made.write(data)
                left -= len(data)
    if size <= 0:
        shutil.rmtree(folder)
    return str(path), max(size, 0)
