"""Texts as flat arrays: characters, words, lines and paragraphs that all filters share, and the kernels over them.

May import `errors`, `arrays`, `running` and `store`. Nothing here knows stages, recipes or files of a run.
"""
