"""The HTTP face; knows runtime and catalog."""
