"""Corpus to tokenizer: pre-tokens counted, merges learned, tokenizer.json written.

May import `curation` and itself.
"""
