"""`curate verify`: proves that an output folder is complete and intact. The command's work begins in verify.py."""
