"""What lies in folders: files written whole or not at all, Parquet shards, their columns, manifests, exchanges of rows.

May import `errors`, `arrays` and `running`.
"""
