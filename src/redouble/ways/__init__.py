"""Floor 5: the ways in that users write: decorator, direct call, block, connect, opening."""
