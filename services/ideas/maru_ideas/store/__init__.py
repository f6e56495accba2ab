"""All SQL of the ideas service but the outbox's."""
