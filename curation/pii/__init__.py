"""Personal data: where it can be, what recognizes it, how good the evidence is, and what replaces it."""
