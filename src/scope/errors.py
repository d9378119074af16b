"""Every failure a caller may want to tell apart, in one tree.

ScopeError
    BadInput         what was sent cannot be used; the text says what would be
        BadParams    a parameter value that no stage accepts
    NotFound         nothing under that name
    Unavailable      it exists, but not on this machine or not now; the text says what is missing
    Busy             someone else has it
    Denied           not for us; the text says what would open it
        NeedsToken   whoever keeps it wants to know who asks
    StreamFailed     the model raised; this stream is over
    WorkerLost       the worker process died or no longer answers
"""


class ScopeError(Exception):
    """Root of the tree; catching it catches everything we raise on purpose."""


class BadInput(ScopeError):
    """What was sent cannot be used; the text says what would be."""


class BadParams(BadInput):
    """A parameter value that no stage accepts."""


class NotFound(ScopeError):
    """Nothing under that name."""


class Unavailable(ScopeError):
    """It exists, but not on this machine or not now; the text says what is missing."""


class Busy(ScopeError):
    """Someone else has it."""


class Denied(ScopeError):
    """Not for us; the text says what would open it."""


class NeedsToken(Denied):
    """Whoever keeps it wants to know who asks."""


class StreamFailed(ScopeError):
    """The model raised; this stream is over."""


class WorkerLost(ScopeError):
    """The worker process died or no longer answers."""
