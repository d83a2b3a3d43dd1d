"""From corpus and tokenizer to token shards: encode, shuffle, pack.

May import `curation`, `tokenize.training` and itself.
"""
