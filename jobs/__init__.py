"""Jobs, one a file: what each command of the command line runs, and the built-in recipes."""
