"""Kernels over flat arrays: compiled, without the GIL. They know no Arrow, no stage and no scheduler.

May import `curation.running.compiled`, `curation.arrays`, `curation.text.english` and each other.
"""
