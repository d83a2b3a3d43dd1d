"""Filters, one a file: each measures signals of a batch first and decides by a table of rules second."""
