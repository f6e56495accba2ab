"""Servers and other things that tests of every area share; they live in `servers/`."""

from servers.kafka import kafka_url, own_broker

__all__ = ["kafka_url", "own_broker"]
