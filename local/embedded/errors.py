"""The one error of this package."""


class EmbeddedError(RuntimeError):
    """A server did not start or stop, or is not installed; the message says what to do or shows its log."""
