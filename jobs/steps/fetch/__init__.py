"""The steps of `curate fetch`: chooses records in a crawl's index, then fetches them into WARC files.

    index files of the crawl ─ select ─ _index/<index file>.parquet      (one task per file)
    all of them, by archive and offset ─ plan ─ _plan/<WARC file>.parquet                (here)
    ranges of archives ─ fetch ─ _parts/ ─ check ─ warc/<WARC file>.warc.gz              (one task per file)

`_index`, `_plan` and `_parts` are hidden from `curate run DIR`, which reads the archives in `warc/`.
"""
