"""Listens to sources and writes what it hears to the log."""
