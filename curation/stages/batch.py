"""A batch of documents and the views of its text that stages share.

The heuristics measure on views: characters, words, lines, paragraphs. Each is computed once, at its first use, and
survives the removal of rows: a view has one flat array for the batch and, for each row, where its part begins and ends,
so dropping rows indexes two small arrays and copies no text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Int64s

if TYPE_CHECKING:
    from curation.text import views

WordKind = Literal["spacy", "language", "space"]
"""What a word is: see the parameter `words` of the filters."""


class TextViews:
    """Views of texts, each computed at its first use."""

    __slots__ = ("_views",)

    _views: dict[str, Any]

    @property
    def characters(self) -> views.Characters:
        """Code points of every text, flat. A null text is empty."""
        return cast("views.Characters", self._views["characters"])

    @property
    def words(self) -> views.Words:
        """Words of every text by spaCy's English tokenizer, as spans of `characters`."""
        return cast("views.Words", self._view("words"))

    @property
    def space_words(self) -> views.Words:
        """Parts of every text between white space, as spans of `characters`."""
        return cast("views.Words", self._view("space_words"))

    @property
    def language_words(self) -> views.Words:
        """Words of every text by the tokenizer for its language, as spans of `characters`."""
        from curation.language.words import language_words

        return cast("views.Words", self._view("language_words", lambda text: language_words(text, self.languages)))

    @property
    def languages(self) -> views.Labels:
        """The language of every text; KeyError if the batch has no column `language`."""
        return cast("views.Labels", self._views["languages"])

    def words_by(self, kind: WordKind) -> views.Words:
        """The words that the parameter `words` of a filter asks for."""
        if kind == "language":
            return self.language_words
        return self.words if kind == "spacy" else self.space_words

    @property
    def fences(self) -> views.Spans:
        """Fenced code of every text in Markdown, as spans of `characters`."""
        return cast("views.Spans", self._view("fences"))

    @property
    def lines(self) -> views.Spans:
        """Parts of every text between single newlines, empty ones included, as spans of `characters`."""
        return cast("views.Spans", self._view("lines"))

    @property
    def paragraphs(self) -> views.Spans:
        """Parts of every stripped text between runs of two or more newlines, as spans of `characters`."""
        return cast("views.Spans", self._view("paragraphs"))

    def _view(self, name: str, make: Callable[[views.Characters], Any] | None = None) -> Any:
        """A view, made at its first use: by `make`, else by the function of its name in `curation.text.views`."""
        if name not in self._views:
            from curation.text import views  # with numba, which a process that only reads archives does not need

            self._views[name] = (make or getattr(views, name))(self.characters)
        return self._views[name]


class Prose(TextViews):
    """Views of the prose of texts in Markdown (`curation.text.views.prose`)."""

    __slots__ = ()

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._views = dict(known)

    def take(self, rows: Int64s) -> Prose:
        """The views of the rows given."""
        return Prose({name: view.take(rows) for name, view in self._views.items()})


class Batch(TextViews):
    """An immutable `pa.RecordBatch` of documents with lazily computed, shared views of its `text` column."""

    __slots__ = ("_partial", "table")

    table: pa.RecordBatch

    def __init__(self, table: pa.RecordBatch, _views: Mapping[str, Any] | None = None) -> None:
        self.table = table
        self._views = dict(_views or {})
        self._partial: tuple[Bools, Mapping[str, Any]] | None = None

    def __len__(self) -> int:
        return cast(int, self.table.num_rows)

    def column(self, name: str) -> pa.Array:
        """The column `name`; KeyError if the batch has none."""
        return self.table.column(name)

    @property
    def text(self) -> pa.StringArray:
        """The `text` column."""
        return self.table.column("text")

    @property
    def characters(self) -> views.Characters:
        """Code points of every text, flat. A null text is empty."""
        if "characters" not in self._views:
            from curation.text import views

            self._views["characters"] = views.characters(self.text)
        return super().characters

    @property
    def languages(self) -> views.Labels:
        """The language of every text; KeyError if the batch has no column `language`."""
        from curation.text import views

        return views.Labels(tuple(self.column("language").to_pylist()))

    @property
    def prose(self) -> Prose:
        """Views of every text without the code and the marks of Markdown."""
        return cast(Prose, self._view("prose", self._prose))

    def _prose(self, text: views.Characters) -> Prose:
        labels = {"languages": self.languages} if "language" in self.table.schema.names else {}
        from curation.text import views

        return Prose({"characters": views.prose(text, self.fences), **labels})

    def read_as(self, *, markdown: bool) -> TextViews:
        """What the rules of a filter measure: every text as it is, or as Markdown (see `prose`)."""
        return self.prose if markdown else self

    def keep(self, mask: Bools) -> Batch:
        """The rows where `mask` (shape (rows,)) is true, views included."""
        if mask.all():
            return self
        rows = np.flatnonzero(mask)
        kept = Batch(self.table.take(pa.array(rows)), {name: view.take(rows) for name, view in self._views.items()})
        if self._partial is not None:
            valid, known = self._partial
            kept._add_views(valid[rows], {name: view.take(rows) for name, view in known.items()})
        return kept

    def with_columns(self, **columns: pa.Array) -> Batch:
        """The same rows with columns replaced or added; views are kept unless `text` is among them."""
        table = self.table
        for name, values in columns.items():
            position = table.schema.get_field_index(name)
            field = pa.field(name, values.type)
            table = table.append_column(field, values) if position < 0 else table.set_column(position, field, values)
        return Batch(table, None if "text" in columns else self._views)

    def with_text(self, text: pa.StringArray, valid: Bools | None = None, **known: Any) -> Batch:
        """The same rows with another text, and views of it that the caller has already computed.

        Args:
            text: The new text of every row.
            valid: Rows for which the views hold, shape (rows,); None means all. Views that do not hold for all rows are
                used once the others are dropped.
            **known: The views, by name.
        """
        batch = self.with_columns(text=text)
        batch._add_views(np.ones(len(self), dtype=np.bool_) if valid is None else valid, known)
        return batch

    def _add_views(self, valid: Bools, known: Mapping[str, Any]) -> None:
        if valid.all():
            self._views = {**known, **self._views}
        else:
            self._partial = valid, known

    def without_columns(self, *names: str) -> Batch:
        """The same rows without these columns."""
        return Batch(self.table.select([name for name in self.table.schema.names if name not in names]), self._views)
