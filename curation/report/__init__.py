"""What a report shows: counts that add up, excerpts made safe and highlighted, plots, and the page they make.

Nothing here reads a run's folder; the report step in `jobs/steps/report/` does. May import the folders below it.
"""
