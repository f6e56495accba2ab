"""The HTTP interface of the ideas service."""
