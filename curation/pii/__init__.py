"""Personal data: where it may be, what recognizes it, how strong the evidence is, and what replaces it.

`find` calls the rest; the stage is `filters/pii.py`. May import `text` and the folders below it.
"""
