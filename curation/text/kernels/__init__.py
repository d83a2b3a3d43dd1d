"""Kernels over flat arrays: compiled, without the GIL, independent of stages and schedulers."""
