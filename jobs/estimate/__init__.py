"""`curate estimate`: what a run would give and take, from a sample. The command itself is in command.py."""
