"""Deduplication: one file per phase (`keys`, `pairs`, `sketches`, `clusters`, `survivors`), run in order by `run`.

`signatures` computes what the filter step stores, `documents` numbers the documents, `decisions` describes the output.
The pure algorithms are in `algorithms/`. May import `stages`, `store`, `running` and the folders below them.
"""
