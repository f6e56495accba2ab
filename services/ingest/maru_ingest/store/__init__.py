"""All SQL of the ingest service. Every function runs within its caller's transaction."""
