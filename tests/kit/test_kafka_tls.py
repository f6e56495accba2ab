"""A Kafka that is spoken to by TLS and SASL, as managed ones are: one URL says it all."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from kit.notes import Note, a_topic, everything, notes
from maru_kit.bus import open_bus
from maru_kit.errors import ConfigError, Unavailable
from maru_kit.kafka.address import connection, servers
from maru_kit.stream import Batch, consume, publish
from servers.kafka import Broker
from servers.ports import free_ports
from servers.tls import Certificate, make_certificate

PASSWORD = "p:a/s@s w%rd?"
LOGIN = "org.apache.kafka.common.security"
SETTINGS = """
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SAFE://127.0.0.1:{safe},MUTUAL://127.0.0.1:{mutual}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SAFE:SASL_SSL,MUTUAL:SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.safe.plain.sasl.jaas.config={plain_login} required user_maru="{password}";
listener.name.safe.scram-sha-256.sasl.jaas.config={scram_login} required;
listener.name.safe.scram-sha-512.sasl.jaas.config={scram_login} required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={client}
listener.name.mutual.ssl.client.auth=required
"""


class Safe:
    """A broker's two listeners with TLS, and what is needed to get in."""

    def __init__(self, folder: Path) -> None:
        self.server = make_certificate(folder, "server")
        self.client = make_certificate(folder, "client")
        self.stranger = make_certificate(folder, "stranger")
        self.sasl, self.mutual = free_ports(2)

    def url(self, *, mechanism: str = "PLAIN", password: str = PASSWORD, ca: str = "") -> str:
        told = f"maru:{quote(password, safe='')}@127.0.0.1:{self.sasl}"
        authority = ca or str(self.server.certificate)
        return f"kafka+ssl://{told}?sasl_mechanism={mechanism}&ssl_cafile={quote(authority)}"

    def mutual_url(self, who: Certificate) -> str:
        own = f"ssl_certfile={who.certificate}&ssl_keyfile={who.key}"
        return f"kafka+ssl://127.0.0.1:{self.mutual}?ssl_cafile={self.server.certificate}&{own}"


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Safe]:
    folder = tmp_path_factory.mktemp("safe")
    safe = Safe(folder)
    keystore = folder / "keystore.pem"
    keystore.write_text(safe.server.key.read_text() + safe.server.certificate.read_text())
    broker = Broker(folder / "broker")
    plain, controller = broker.ports
    broker.settings(
        SETTINGS.format(
            plain=plain,
            controller=controller,
            safe=safe.sasl,
            mutual=safe.mutual,
            plain_login=f"{LOGIN}.plain.PlainLoginModule",
            scram_login=f"{LOGIN}.scram.ScramLoginModule",
            password=PASSWORD,
            keystore=keystore,
            client=safe.client.certificate,
        )
    )
    broker.start()
    try:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            broker.tool(
                "kafka.admin.ConfigCommand",
                *("--alter", "--entity-type", "users", "--entity-name", "maru"),
                *("--add-config", f"{mechanism}=[password={PASSWORD}]"),
            )
        yield safe
    finally:
        broker.stop()


@pytest.fixture(autouse=True)
async def hung_up(safe: Safe) -> AsyncIterator[None]:
    """Keep the event loop until TLS has said goodbye: aiokafka does not wait for it."""
    yield
    async with asyncio.timeout(40):
        while any(
            connection.raddr and connection.raddr.port in (safe.sasl, safe.mutual)
            for connection in psutil.Process().net_connections()
        ):
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.05)


async def _through(url: str) -> list[str]:
    """What comes back from posts that go through every kind of client: admin, producer, member."""
    topic = a_topic(partitions=2)
    taken: list[str] = []
    stop = asyncio.Event()
    async with open_bus(url) as bus:

        async def take(batch: Batch[Note]) -> None:
            taken.extend(note.text for note in batch.messages)
            if len(taken) == 20:
                stop.set()

        await bus.create([topic])
        await publish(bus, topic, notes(20))
        async with asyncio.timeout(30):
            await consume(bus, topic, "readers", take, instance="a", stop=stop)
        assert len(await everything(bus, topic.name)) == 20
    return sorted(taken, key=int)


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "scram-sha-512"])
async def test_posts_go_through_tls_and_sasl(safe: Safe, mechanism: str) -> None:
    assert await _through(safe.url(mechanism=mechanism)) == [str(n) for n in range(20)]


@pytest.mark.kafka
async def test_posts_go_through_tls_with_a_certificate_of_ours(safe: Safe) -> None:
    assert await _through(safe.mutual_url(safe.client)) == [str(n) for n in range(20)]


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"password": "canary"}, "[Aa]uthentication"),
        ({"mechanism": "SCRAM-SHA-256", "password": "canary"}, "[Aa]uthentication"),
        ({"ca": "stranger"}, "certificate verify failed"),
    ],
)
async def test_who_is_not_let_in_is_told_why(
    safe: Safe, changed: dict[str, str], reason: str
) -> None:
    if "ca" in changed:
        changed = {"ca": str(safe.stranger.certificate)}
    begun = time.monotonic()

    with pytest.raises(Unavailable, match=reason) as refused:
        async with open_bus(safe.url(**changed)):
            pass

    assert time.monotonic() - begun < 12
    assert "canary" not in str(refused.value)
    assert quote(PASSWORD, safe="") not in str(refused.value)


@pytest.mark.kafka
async def test_a_certificate_that_the_broker_does_not_know_is_refused(safe: Safe) -> None:
    with pytest.raises(Unavailable, match="Kafka"):
        async with open_bus(safe.mutual_url(safe.stranger)):
            pass


def test_a_plain_url_is_what_it_was() -> None:
    assert connection("kafka://one:9092,two:9093/") == {
        "bootstrap_servers": "one:9092,two:9093",
        "security_protocol": "PLAINTEXT",
    }


def test_a_url_tells_protocol_mechanism_and_user() -> None:
    asked = connection("kafka://me:a%2Fb%40c@one:1,two:2?sasl_mechanism=scram-sha-256")

    assert asked == {
        "bootstrap_servers": "one:1,two:2",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "me",
        "sasl_plain_password": "a/b@c",
    }
    assert connection("kafka+ssl://one:1")["security_protocol"] == "SSL"
    assert connection("kafka+ssl://one:1")["ssl_context"].check_hostname
    assert servers("kafka+ssl://me:canary@one:1,two:2") == "one:1,two:2"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("kafka+ssl://", "no host"),
        ("kafka://one:1,,two:2", "no host"),
        ("kafka+ssl://me:can/ary@one:1", "kafka\\+ssl://"),
        ("kafka+ssl://me:can@ary@one:1", "percent-encoded"),
        ("kafka+ssl://canary@one:1", "user:password"),
        ("kafka+ssl://me:canary@one:1?sasl_mechanism=GSSAPI", "SCRAM-SHA-512"),
        ("kafka+ssl://me:canary@one:1?sasl.mechanism=PLAIN", "no parameter sasl.mechanism"),
        ("kafka+ssl://one:1?sasl_mechanism=PLAIN", "needs a user"),
        ("kafka+ssl://one:1?ssl_cafile=/no/such.pem", "/no/such.pem"),
        (f"kafka+ssl://one:1?ssl_cafile={__file__}", "cannot be read"),
        (f"kafka+ssl://one:1?ssl_certfile={__file__}", "go together"),
        (f"kafka://one:1?ssl_cafile={__file__}", "kafka\\+ssl://"),
    ],
)
async def test_a_url_that_cannot_be_meant_is_one_sentence_without_secrets(
    url: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        async with open_bus(url):
            pass

    assert "canary" not in str(refused.value)
