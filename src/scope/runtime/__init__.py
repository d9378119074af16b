"""A session and its clockwork. Knows no model, no protocol, no HTTP."""
