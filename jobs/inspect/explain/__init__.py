"""`curate explain`: one document's path through the stages. Start reading in explain.py."""
