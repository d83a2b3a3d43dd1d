"""Deduplication: one file per phase (`keys`, `pairs`, `sketches`, `clusters`, `survivors`), run in order by `run`.

`signatures` makes what the filter step stores, `documents` numbers the documents, `decisions` is what the phases leave.
The pure algorithms are in `algorithms/`. May import `stages`, `store`, `running` and the folders below them.
"""
