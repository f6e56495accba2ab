"""Whether the streams of a process flow, for `/readyz`."""


class StreamHealth:
    """What keeps streams from flowing; one object serves all consumers of a process.

    Trouble is named by who has it: the same name again replaces its reason.
    """

    def __init__(self) -> None:
        self._troubles: dict[str, str] = {}

    @property
    def ready(self) -> bool:
        """Whether nothing is wrong."""
        return not self._troubles

    @property
    def reason(self) -> str:
        """What is wrong, in one line; empty when all is well."""
        return "; ".join(f"{name}: {reason}" for name, reason in self._troubles.items())

    def report(self, name: str, reason: str) -> None:
        """Say that `name` is in trouble."""
        self._troubles[name] = reason

    def clear(self, name: str) -> None:
        """Say that `name` is well again."""
        self._troubles.pop(name, None)
