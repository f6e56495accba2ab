"""Who speaks: the same person is one voice, however often they write."""

from hashlib import blake2b

from maru_contracts.posts import Post


def voice(post: Post) -> str:
    """A name for the person behind a post, which does not tell who they are.

    The same handle in the same kind of channel is one person; a post without an author is a voice
    of its own.
    """
    speaker = f"{post.channel}\x1f{post.author.handle}" if post.author else f"post\x1f{post.id}"
    return blake2b(speaker.encode("utf-8", "replace"), digest_size=16).hexdigest()
