"""The parts of the Parquet format that token shards need: footers and pages, read and written byte by byte.

May import `curation.store` and itself.
"""
