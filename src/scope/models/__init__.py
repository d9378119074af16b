"""Tensors in, tensors out. Knows no session, no frame rate, no HTTP."""
