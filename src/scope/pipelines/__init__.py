"""One stream step and the rows that make a pipeline."""
