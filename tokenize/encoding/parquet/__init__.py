"""The parts of the Parquet format that token shards need: reads and writes footers and pages byte by byte.

May import `curation.store` and itself.
"""
