"""`curate what-if`: what changed thresholds would keep, from stored signals. Start reading in what_if.py."""
