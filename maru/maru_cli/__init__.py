"""Maru's command line, and all four services under one command."""
