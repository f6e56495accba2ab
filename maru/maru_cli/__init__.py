"""Maru's command line, and all four services under one command."""

import time

STARTED = time.monotonic()
"""When the command began, before all that it imports."""
