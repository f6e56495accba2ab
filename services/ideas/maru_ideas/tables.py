"""The tables of the ideas service; every query on them names a workspace or a primary key.

Times are microseconds since 1970 (UTC): the same whole number on both databases.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
)

metadata = MetaData()

_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in an INTEGER PRIMARY KEY."""

posts = Table(
    "posts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("workspace", String(100), nullable=False),
    Column("product", String(100), nullable=False),
    Column("source_id", String(100), nullable=False),
    Column("channel", String(20), nullable=False),
    Column("language", String(35), nullable=False),
    Column("sentiment", String(10), nullable=False),
    Column("intent", String(10), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("is_spam", Boolean, nullable=False, server_default=false()),
    Column("models", Text, nullable=False, comment="names and versions of all heads"),
    Column("labels", Text, nullable=False, comment="|topic|topic|, for filters"),
    Column("search", Text, nullable=False, comment="the words, squeezed together"),
    Column("corrected_at", BigInteger, nullable=True, comment="null: the tags are the models'"),
    Column("body", Text, nullable=False, comment="the TaggedPost without its embedding, JSON"),
    Column("embedding", LargeBinary, nullable=False, comment="512 signed bytes"),
    Index("posts_newest", "workspace", "created_at", "id"),
)

Index(
    "posts_corrected",
    posts.c.workspace,
    posts.c.created_at,
    posts.c.id,
    sqlite_where=posts.c.corrected_at.is_not(None),
    postgresql_where=posts.c.corrected_at.is_not(None),
)

deletions = Table(
    "deletions",
    metadata,
    Column("post_id", Uuid, primary_key=True),
    Column("workspace", String(100), nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""Posts that are gone, so that none comes back: nothing is kept of them but that."""

ideas = Table(
    "ideas",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("workspace", String(100), nullable=False),
    Column("product", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("score", Float, nullable=False),
    Column("voices", Integer, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("labels", Text, nullable=False, comment="|c:channel|l:language|t:topic|, for filters"),
    Column("search", Text, nullable=False),
    Column("state", Text, nullable=False, comment="both faces with all counts, JSON"),
    Column("wire", Text, nullable=False, comment="the Idea as readers get it, JSON"),
    Column("is_public", Boolean, nullable=False),
    Column("public_score", Float, nullable=False),
    Column("public_voices", Integer, nullable=False),
    Column("public_first_seen", BigInteger, nullable=False),
    Column("public_last_seen", BigInteger, nullable=False),
    Column("public_labels", Text, nullable=False),
    Column("public_wire", Text, nullable=False, comment="the Idea over public posts alone, JSON"),
    Index("ideas_score", "workspace", "score", "id"),
    Index("ideas_newest", "workspace", "first_seen", "id"),
    Index("ideas_voices", "workspace", "voices", "id"),
    Index("ideas_last_seen", "workspace", "last_seen", "id"),
    Index("ideas_public_score", "workspace", "is_public", "public_score", "id"),
)

shapes = Table(
    "shapes",
    metadata,
    Column("idea_id", Uuid, primary_key=True),
    Column("workspace", String(100), nullable=False),
    Column("product", String(100), nullable=False),
    Column("place", Integer, nullable=False, comment="the idea's number within its product"),
    Column("shapers", SmallInteger, nullable=False, comment="how many vectors are in the sum"),
    Column("scripts", SmallInteger, nullable=False, comment="bits of the scripts of these"),
    Column("sum", LargeBinary, nullable=False, comment="512 little-endian int16"),
    UniqueConstraint("workspace", "product", "place", name="shapes_place"),
)

shelves = Table(
    "shelves",
    metadata,
    Column("workspace", String(100), primary_key=True),
    Column("product", String(100), primary_key=True),
    Column("ideas", Integer, nullable=False),
    Column("public_ideas", Integer, nullable=False),
)

evidence = Table(
    "evidence",
    metadata,
    Column("post_id", Uuid, primary_key=True),
    Column("idea_id", Uuid, nullable=False),
    Column("similarity", Float, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Index("evidence_newest", "idea_id", "created_at", "post_id"),
)

voices = Table(
    "voices",
    metadata,
    Column("idea_id", Uuid, primary_key=True),
    Column("scope", String(6), primary_key=True, comment="whole or public"),
    Column("voice", String(32), primary_key=True),
)

copies = Table(
    "copies",
    metadata,
    Column("post_id", Uuid, primary_key=True),
    Column("words_of", Uuid, nullable=False, comment="the post whose words it has"),
    Column("original", Uuid, nullable=False, comment="the evidence at the end of these"),
    Column("is_repost", Boolean, nullable=False),
    Index("copies_original", "original"),
)
"""Posts that have another's words: they spread its voice, and are no evidence."""

prints = Table(
    "prints",
    metadata,
    Column("shelf", BigInteger, primary_key=True, comment="a number for workspace and product"),
    Column("print", BigInteger, primary_key=True, comment="the hash of some letters of a text"),
    Column("post_id", Uuid, primary_key=True),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""By what posts with the same words are found; those of a product's last two years."""

horizons = Table(
    "horizons",
    metadata,
    Column("shelf", BigInteger, primary_key=True, autoincrement=False),
    Column("month", Integer, nullable=False, comment="windows of 30 days since 1970"),
    sqlite_with_rowid=False,
)
"""When the newest text of a product was written, from which the age of others is counted."""

offsets = Table(
    "offsets",
    metadata,
    Column("topic", String(200), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("topic", String(200), nullable=False),
    Column("workspace", String(100), nullable=False),
    Column("idea_id", Uuid, nullable=True),
    Column("version", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False, comment="the message, JSON"),
    Column("published", Boolean, nullable=False, server_default=false()),
    Column(
        "quoted",
        Uuid,
        nullable=True,
        comment="the post whose words the body has; zeros: nobody's; null: not known",
    ),
    UniqueConstraint("idea_id", "version", name="events_version"),
)
Index("events_quoted", events.c.quoted)
Index(
    "events_waiting",
    events.c.sequence,
    sqlite_where=~events.c.published,
    postgresql_where=~events.c.published,
)

relays = Table(
    "relays",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until", BigInteger, nullable=False),
)

topics = Table(
    "topics",
    metadata,
    Column("workspace", String(100), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("examples", Text, nullable=False, comment="JSON list"),
    Column("updated_at", BigInteger, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("formerly", Text, nullable=False, server_default="[]", comment="JSON list"),
    Column("since", BigInteger, nullable=True, comment="null: not known, or always there"),
)

terms = Table(
    "terms",
    metadata,
    Column("workspace", String(100), primary_key=True),
    Column("section", String(11), primary_key=True, comment="watch or corrections"),
    Column("name", String(100), primary_key=True),
    Column("meaning", String(10), nullable=False, comment="own, competitor or a mood"),
    Column("aliases", Text, nullable=False, comment="JSON list"),
    Column("updated_at", BigInteger, nullable=False),
)

mentions = Table(
    "mentions",
    metadata,
    Column("workspace", String(100), primary_key=True),
    Column("day", Integer, primary_key=True, comment="days since 1970, UTC"),
    Column("name", String(100), primary_key=True),
    Column("kind", String(10), primary_key=True, comment="own or competitor"),
    Column("mood", String(10), primary_key=True),
    Column("posts", Integer, nullable=False, comment="posts that name it, each once"),
)

discoveries = Table(
    "discoveries",
    metadata,
    Column("workspace", String(100), primary_key=True),
    Column("product", String(100), primary_key=True),
    Column("sequence", BigInteger, nullable=False, comment="posts looked at"),
    Column("founded", Integer, nullable=False, comment="topics founded"),
    Column("middle", Integer, nullable=False, comment="dot product of an ordinary pair"),
    Column("deviation", Integer, nullable=False, comment="by how much such pairs differ"),
    Column("spoken", Integer, nullable=False, comment="posts whose words were counted"),
    Column("bins", LargeBinary, nullable=False, comment="256 little-endian int32"),
    Column("ring", LargeBinary, nullable=False, comment="up to 64 vectors of 256 signed bytes"),
    Column("words", LargeBinary, nullable=False, comment="2 x 8192 little-endian uint16, zlib"),
)

discovered_topics = Table(
    "discovered_topics",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("workspace", String(100), nullable=False),
    Column("product", String(100), nullable=False),
    Column("place", Integer, nullable=False, comment="the topic's number within its product"),
    Column("status", String(10), nullable=False, comment="alive, merged or retired"),
    Column("merged_into", Uuid, nullable=True),
    Column("name", String(100), nullable=False),
    Column("words", Text, nullable=False, comment="JSON list, the most telling first"),
    Column("state", Text, nullable=False, comment="what the discovery remembers of it, JSON"),
    Column("sum", LargeBinary, nullable=False, comment="256 little-endian int32"),
    Column("vector", LargeBinary, nullable=False, comment="256 signed bytes"),
    Column("dismissed", Boolean, nullable=False, server_default=false()),
    Column("adopted_as", String(100), nullable=True, comment="the workspace's own topic"),
    UniqueConstraint("workspace", "product", "place", name="discovered_topics_place"),
)

discovered_posts = Table(
    "discovered_posts",
    metadata,
    Column("post_id", Uuid, primary_key=True),
    Column("topic_id", Uuid, nullable=False),
    Column("similarity", Float, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("discovered_posts_newest", "topic_id", "created_at", "post_id"),
)

waiting_posts = Table(
    "waiting_posts",
    metadata,
    Column("post_id", Uuid, primary_key=True),
    Column("workspace", String(100), nullable=False),
    Column("product", String(100), nullable=False),
    Column("sequence", BigInteger, nullable=False, comment="its number among the product's"),
    Column("voice", String(32), nullable=False),
    Column("language", String(35), nullable=False),
    Column("words", Text, nullable=False, comment="JSON list"),
    Column("vector", LargeBinary, nullable=False, comment="256 signed bytes"),
    UniqueConstraint("workspace", "product", "sequence", name="waiting_posts_sequence"),
)

discovered_days = Table(
    "discovered_days",
    metadata,
    Column("topic_id", Uuid, primary_key=True),
    Column("day", Integer, primary_key=True, comment="days since 1970, UTC"),
    Column("mood", String(10), primary_key=True),
    Column("language", String(35), primary_key=True),
    Column("posts", Integer, nullable=False),
)

product_days = Table(
    "product_days",
    metadata,
    Column("workspace", String(100), primary_key=True),
    Column("product", String(100), primary_key=True),
    Column("day", Integer, primary_key=True, comment="days since 1970, UTC"),
    Column("posts", Integer, nullable=False, comment="in a discovered topic or not"),
)
