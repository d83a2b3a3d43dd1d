"""`curate verify`: checks that an output folder is complete and intact. Start reading in verify.py."""
