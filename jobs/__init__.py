"""Jobs: what each command of the command line runs, and the built-in recipes.

A job is one file. A command made of several has a folder of its name, and in it a file of that name, where its work
begins. Such folders import the files beside them, never one another.
"""
