"""What the sentiment service answers over HTTP."""
