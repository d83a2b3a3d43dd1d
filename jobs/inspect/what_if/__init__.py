"""`curate what-if`: what moved thresholds would keep, by stored signals. The command's work begins in what_if.py."""
