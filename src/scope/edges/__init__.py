"""One file per way in or out of a session."""
