"""Extracts the main text of pages: the extractors, and the child process in which they run.

May import `language`, `stages` and the folders below them.
"""
