"""Batches, stages, rules, what they measure and count, and the one function that applies stages.

May import the folders below: `text`, `store`, `running`.
"""
