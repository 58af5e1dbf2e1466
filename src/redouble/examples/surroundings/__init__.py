"""On top of all floors: what the examples stand on, real servers on free ports of the loopback, prints and options."""
