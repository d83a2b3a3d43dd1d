"""`curate compare`: which documents one run keeps and another does not. The command's work begins in compare.py."""
