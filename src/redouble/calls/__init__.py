"""Floor 4: retried calls under way. Their state, the scripts by which they go on, and a driver a host that performs them."""
