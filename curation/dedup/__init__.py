"""Deduplication: signatures beside each shard, equal band keys brought together, components, one survivor each.

What can be done for some documents or some pairs alone is here and knows no scheduler; `jobs/dedup.py` takes it across
shards.
"""
