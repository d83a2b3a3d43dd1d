"""Storage in folders: atomic files, Parquet shards and their schemas, manifests, and the exchange of rows.

May import `errors`, `arrays` and `running`.
"""
