"""The command line: one function per command, its options and its help. Results go to stdout, the rest to stderr.

May import everything; nothing imports it.
"""
