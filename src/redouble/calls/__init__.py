"""Floor 4: retried calls under way: their state, their scripts, and the drivers that perform the scripts."""
