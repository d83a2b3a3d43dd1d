"""From inputs to pages: find archives, unpack them, split them into records, decode the pages and yield batches.

The modules in the order in which bytes pass through them: `inputs`, `unpack`, `byte_runs`, `records`, `http`,
`charset` (with `declaration`, `decoding`, `detection` and `letters`), `reader`. Files of rows go through `parquet_rows`
or `json_lines` (with `lines`) and `tables` instead; `read` chooses. May import `stages` and the folders below it.
"""
