"""Texts as flat arrays: the characters, words, lines and paragraphs that all filters share, and kernels over them.

May import `errors`, `arrays`, `running` and `store`. Nothing here depends on stages, recipes or the files of a run.
"""
