"""The algorithms of deduplication over arrays: no files, no tasks, no settings.

May import `curation.text`, `curation.running` and itself.
"""
