"""The use cases of the ideas service, one transaction each."""
