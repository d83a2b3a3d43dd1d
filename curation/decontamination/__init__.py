"""Decontamination: an exact index of benchmark items, the matcher over documents, and the measurement of its recall.

May import `text` and the folders below it.
"""
