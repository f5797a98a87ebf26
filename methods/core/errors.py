"""The error that a user sees as one sentence."""


class MethodError(ValueError):
    """A method, or one of its options, cannot be used; the message is one sentence for the user."""
