"""Pages to main text: the extractors, and the child process in which they run.

May import `language`, `stages` and the folders below them.
"""
