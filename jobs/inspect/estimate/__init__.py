"""`curate estimate`: what a run would produce and cost, from a sample. Start reading in estimate.py."""
