"""Filters, one per file: each first measures signals of a batch, then decides by a table of rules."""
