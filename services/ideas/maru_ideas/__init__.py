"""Turns tagged posts into a backlog of ideas."""
