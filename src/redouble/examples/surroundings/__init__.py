"""On top of all floors: the base of the examples: real servers on free ports of the loopback, prints and options."""
