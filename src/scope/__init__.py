"""Scope: an instrument for live AI video. Rooms stacked so that every import points down (docs/architecture.md)."""

__version__ = "0.1.0"
