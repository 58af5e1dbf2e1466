"""Floor 1, pure: no clock, no I/O, no shared state. Time and randomness come in as arguments."""
