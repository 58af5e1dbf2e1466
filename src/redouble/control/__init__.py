"""Floor 3, state: the policy, the controller, events, clocks and scopes. Imports only from the floors below."""
