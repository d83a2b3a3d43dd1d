"""Commands that inspect a run without changing its results: one folder or file per command.

May import `jobs.steps` and everything below; a command's folder never imports another command's.
"""
