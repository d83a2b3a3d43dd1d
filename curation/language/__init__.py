"""Language identification: fastText models read as arrays, and the kernel that applies them.

May import `text` and the folders below it.
"""
