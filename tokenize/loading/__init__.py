"""From token shards to training batches: the loader, tracing of tokens to documents, exports for other trainers.

May import `curation`, `tokenize.training`, `tokenize.encoding` and itself.
"""
