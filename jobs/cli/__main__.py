"""`python -m curation.jobs.cli` is the command `curate`."""

from curation.jobs.cli.main import main

if __name__ == "__main__":
    main()
