"""trafilatura made faster with the same answers: everything that depends on its internals is in this folder.

May import nothing else of the project.
"""
