"""The rules by which posts become ideas: pure functions on values."""
