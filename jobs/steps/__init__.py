"""The steps of a run, in the order of the table in `table`, and what plans, runs, monitors and reports on them.

May import `curation`, `filters`, `tokenize` and itself.
"""
