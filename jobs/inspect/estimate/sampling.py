"""Takes a seeded sample of the inputs: chunks of archives with whole records, copied to a temporary folder.

Chunks of Parquet and JSON Lines are parts of the file, and are read where they are.

An archive is cut at regular byte offsets, each moved forward to the start of the next record. So every record belongs
to exactly one chunk, every chunk is a valid archive, and reading a chunk anywhere in a file costs one read there. A
file that cannot be cut (for example one compressed as a whole) is one chunk.
"""

from __future__ import annotations

import posixpath
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curation.archives.inputs import Input, find_inputs
from curation.archives.reader import ReadSettings
from curation.archives.unpack import Unpacker
from curation.errors import UsageError
from curation.jobs.inspect.estimate.extrapolation import SamplingFrame
from curation.running.answers import describe

SAMPLE_BYTES = 64 << 20
CHUNK_BYTES = (256 << 10, 4 << 20)
"""Minimum and maximum size of a chunk: about ten pages, and a hundred or more."""

CHUNKS = 16
"""Minimum number of chunks to aim for, because the variance between few chunks is hard to estimate."""

COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What to sample.

    Attributes:
        bytes: Approximate maximum number of bytes to read from all files.
        files: Maximum number of files to read from; None for no limit.
        seed: Random seed.
    """

    bytes: int = SAMPLE_BYTES
    files: int | None = None
    seed: int = 0


def sampling_of(
    words: Sequence[str], read: ReadSettings, size: int | None, share: float | None, files: int | None, seed: int
) -> SampleRequest:
    """Build a request from the options of the command.

    Args:
        words: Inputs as on the command line.
        read: Table [read] of the recipe.
        size: Bytes to read; None for SAMPLE_BYTES or `share`.
        share: Share of the bytes of all inputs to read.
        files: Maximum number of files to read from.
        seed: Random seed.

    Raises:
        UsageError: Both size and share are given, or the share is not above 0 and at most 1.
    """
    if size is not None and share is not None:
        raise UsageError("--sample-bytes and --sample-share are mutually exclusive")
    if share is not None:
        if not 0 < share <= 1:
            raise UsageError(f"--sample-share {share}: must be above 0 and at most 1")
        size = max(1, round(share * sum(source.bytes for source in find_inputs(words, read.sample, read.seed))))
    return SampleRequest(SAMPLE_BYTES if size is None else size, files, seed)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range of bytes of an input.

    Attributes:
        source: The input.
        number: Index of the input.
        start: First byte.
        stop: End of the range, exclusive; None for the end of the file.
    """

    source: Input
    number: int
    start: int
    stop: int | None


@dataclass(frozen=True, slots=True)
class InputSample:
    """The sampled chunks.

    Attributes:
        chunks: The chunks.
        inputs: What is read for each chunk; None if its input could not be read.
        frame: Sizes of the sample and of the whole.
        unreadable: Inputs that could not be read: {"path": …, "cause": …}.
    """

    chunks: tuple[Chunk, ...]
    inputs: tuple[Input | None, ...]
    frame: SamplingFrame
    unreadable: tuple[dict[str, str], ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The file of each chunk; "" if its input could not be read."""
        return tuple("" if source is None else source.path for source in self.inputs)


def choose_chunks(inputs: Sequence[Input], sampling: SampleRequest) -> list[Chunk]:
    """Choose chunks at random, with equal probability, in input order; whole files if all inputs fit in the sample."""
    rng = random.Random(sampling.seed)
    numbers = range(len(inputs))
    if sampling.files is not None and sampling.files < len(inputs):
        numbers = sorted(rng.sample(numbers, sampling.files))  # type: ignore[assignment]
    sources = [(number, inputs[number]) for number in numbers]
    available = sum(source.bytes for _, source in sources)
    if available <= sampling.bytes and len(sources) == len(inputs):
        return [Chunk(source, number, source.start, None) for number, source in sources]
    least, most = CHUNK_BYTES
    step = min(most, max(least, min(available, sampling.bytes) // CHUNKS))
    cuts = [
        Chunk(source, number, at, at + step if at + step < source.end and source.is_divisible else None)
        for number, source in sources
        for at in range(
            source.start, max(source.end, source.start + 1), step if source.is_divisible else source.size + 1
        )
    ]
    wanted = max(2, round(sampling.bytes / step))
    if wanted >= len(cuts):
        return cuts
    return [cuts[index] for index in sorted(rng.sample(range(len(cuts)), wanted))]


def take_sample(inputs: Sequence[Input], sampling: SampleRequest, folder: Path) -> InputSample:
    """Choose chunks and copy them to `folder`. If the sample contains all inputs, nothing is copied."""
    selected = choose_chunks(inputs, sampling)
    files = {chunk.number: chunk.source.bytes for chunk in selected}
    total = sum(source.bytes for source in inputs)
    chunks: list[Chunk] = []
    found: list[Input | None] = []
    sizes: list[int] = []
    unreadable: dict[str, str] = {}
    whole = all(chunk.start == chunk.source.start and chunk.stop is None for chunk in selected)
    whole = whole and len(files) == len(inputs)
    for chunk in selected:
        try:
            part, size = (chunk.source, chunk.source.bytes) if whole else _take(chunk, folder / f"{len(found):06d}")
        except (OSError, ValueError, EOFError) as error:
            unreadable[chunk.source.path] = describe(error)
            part, size = None, (chunk.stop or chunk.source.end) - chunk.start
        if size or part is not None:
            chunks.append(chunk)
            found.append(part)
            sizes.append(size)
    frame = SamplingFrame([chunk.number for chunk in chunks], sizes, files, len(inputs), total)
    causes = tuple({"path": path, "cause": cause} for path, cause in unreadable.items())
    return InputSample(tuple(chunks), tuple(found), frame, causes)


def _take(chunk: Chunk, folder: Path) -> tuple[Input | None, int]:
    """What is to be read for a chunk, and its bytes: a copy of a part of an archive, a part of any other file."""
    if chunk.source.kind in ("archive", None):
        path, size = _copy(chunk, folder)
        return (find_inputs([path])[0] if path else None), size
    stop = chunk.source.end if chunk.stop is None else chunk.stop
    if (chunk.start, stop) == (chunk.source.start, chunk.source.end):
        return chunk.source, chunk.source.bytes
    return replace(chunk.source, start=chunk.start, stop=stop, first_row=0), stop - chunk.start


def _copy(chunk: Chunk, folder: Path) -> tuple[str, int]:
    """Copy a chunk to a file with the archive's name, from which the dump is derived; returns its path and bytes."""
    with chunk.source.open() as file:
        unpacker = Unpacker(file)
        start = unpacker.find(chunk.start) if chunk.start else 0
        stop = unpacker.find(chunk.stop) if chunk.stop is not None else None
        if start is None:
            return "", 0
        folder.mkdir(parents=True)
        path = folder / posixpath.basename(chunk.source.path)
        dictionary = unpacker.dictionary(start)
        with path.open("wb") as copy:
            if dictionary is not None:
                file.seek(dictionary[0])
                copy.write(file.read(dictionary[1]))
            file.seek(start)
            left = chunk.source.size - start if stop is None else stop - start
            size = left
            while left > 0 and (data := file.read(min(left, COPY_BYTES))):
                copy.write(data)
                left -= len(data)
    if size <= 0:
        shutil.rmtree(folder)
    return str(path), max(size, 0)
