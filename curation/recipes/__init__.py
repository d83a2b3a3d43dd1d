"""Recipes: TOML files as ordered stages, settings for each step, and alarms.

May import `stages` and the folders below it. The classes that a recipe names are imported by name when it is loaded.
"""
