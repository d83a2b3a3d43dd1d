"""Language identification: fastText models as arrays, and the kernel that applies them.

May import `text` and the folders below it.
"""
