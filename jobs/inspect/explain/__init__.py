"""`curate explain`: one document's path through the stages. The command's work begins in explain.py."""
