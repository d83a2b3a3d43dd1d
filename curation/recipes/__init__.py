"""Recipes: TOML files as ordered stages and settings for each step, and the alarms they set.

May import `stages` and the folders below it. The classes that a recipe names are imported by name when it is loaded.
"""
