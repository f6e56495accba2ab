"""The use cases of the ingest service: publish posts, look after sources."""
