"""Personal data: where it may stand, what recognises it, how good the evidence is, and what it is replaced by."""
