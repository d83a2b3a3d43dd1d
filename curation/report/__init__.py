"""The report: counts that add up, text made safe and marked, plots, and the page that they make."""
