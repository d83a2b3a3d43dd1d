"""How work is run: Dask, threads, compiled kernels, time and memory, versions.

The lowest folder: it may import `curation.errors` and itself. `cluster` is the only module that imports Dask.
"""
