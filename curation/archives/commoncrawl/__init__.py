"""CommonCrawl: crawls by name, the columnar index, and requests to its servers that are polite and can be resumed.

`names` turns `cc:CC-MAIN-2025-08` into paths. `index` and `where` choose records, `ranges` says which bytes to ask for,
`client` asks for them, and `records` checks what came.
"""
