"""Floor 5: the ways in, which users write: decorator, direct call, block, connect."""
