"""How any Maru service runs. Nothing in here knows what a post or an idea is."""
