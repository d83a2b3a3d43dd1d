"""Commands that look at a run and change none of its results: one folder or file per command.

May import `jobs.steps` and everything below; a command's folder never imports another command's.
"""
