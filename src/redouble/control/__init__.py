"""Floor 3, state: the policy, the controller, events, clocks and scopes. Knows the core below, and nothing above."""
