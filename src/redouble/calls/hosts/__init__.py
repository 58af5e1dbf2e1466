"""Floor 4: the drivers. Nothing else in redouble calls an operation, waits, or awaits."""
