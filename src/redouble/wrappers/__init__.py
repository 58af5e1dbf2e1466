"""Floor 4: the loops that call, wait and call again; sync and asyncio. All counting is the controller's."""
