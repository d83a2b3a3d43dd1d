"""`curate report`: what became of every document, as a page, as metrics, as a card. The step begins in report.py."""
