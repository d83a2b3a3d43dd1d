"""The report: counts that add up, safe excerpts of text with highlights, plots, and the HTML page made of them."""
