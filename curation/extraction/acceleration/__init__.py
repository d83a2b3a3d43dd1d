"""Makes trafilatura faster with the same results. Everything that depends on its internals is in this folder.

May import nothing else of the project.
"""
