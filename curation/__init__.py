"""Curation of web-crawl dumps into a pretraining corpus, a tokenizer and packed token shards."""

__version__ = "0.1.0"
