"""`curate estimate`: what a run would give and take, from a sample. The command's work begins in estimate.py."""
