"""Models as transformers saves them, and the same exported: needs torch (`make test-torch`)."""

from sentiment.conftest import tagger

__all__ = ["tagger"]
