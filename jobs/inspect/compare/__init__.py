"""`curate compare`: which documents one run keeps and another does not. Start reading in compare.py."""
