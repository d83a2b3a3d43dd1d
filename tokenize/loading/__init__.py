"""Token shards to training batches: the loader, a token traced back to its document, exports for other trainers.

May import `curation`, `tokenize.training`, `tokenize.encoding` and itself.
"""
