"""Quality models: loading, scoring, the card beside a model, training and the audit.

May import `language` and the folders below it.
"""
