"""From corpus to tokenizer: count pre-tokens, learn merges, write tokenizer.json.

May import `curation` and itself.
"""
