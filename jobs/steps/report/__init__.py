"""`curate report`: what happened to every document, as a page, metrics and a dataset card. Start in report.py."""
