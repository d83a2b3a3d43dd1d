"""Batches, stages, rules, and the one function that applies stages; what they measure and count.

May import the folders below: `text`, `store`, `running`.
"""
