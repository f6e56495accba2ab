"""Tags every post with its language, mood, intent and topics."""
