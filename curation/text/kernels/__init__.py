"""Kernels over flat arrays: compiled, without the GIL, knowing neither stages nor schedulers."""
