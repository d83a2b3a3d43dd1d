"""Execution: Dask, threads, compiled kernels, measurement of time and memory, versions.

The lowest folder: it may import `curation.errors` and itself. `cluster` is the only module that imports Dask.
"""
