"""Languages: fastText models as arrays and the kernel that applies them, names of languages, words by language.

May import `text` and the folders below it.
"""
