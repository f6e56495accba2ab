"""The messages that Maru's services exchange, and the topics they travel on."""
