"""Servers and other things that tests of every area share; they live in `servers/`."""

from servers.kafka import kafka_url, own_broker
from servers.logs import bus, bus_url
from servers.postgres import database_url, own_postgres, postgres_database, postgres_url

__all__ = [
    "bus",
    "bus_url",
    "database_url",
    "kafka_url",
    "own_broker",
    "own_postgres",
    "postgres_database",
    "postgres_url",
]
