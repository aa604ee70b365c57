"""One tree of exceptions. Each says in one line what is wrong and what the user can do about it.

The command line prints `message` and `hint` without a traceback and leaves with `exit_code`:
1 the user can mend it, 2 wrong usage, 3 a defect of ours.
"""


class SlowwaveError(Exception):
    """Something went wrong that we can name. `hint` says what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class UsageError(SlowwaveError, ValueError):
    """The command or the request was wrong: an unknown option, setting or value."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting that does not exist, or a value outside its bounds."""


class ModelError(SlowwaveError):
    """A model cannot be found, fetched or loaded."""


class ModelNotFound(ModelError, LookupError):
    """No model of that name, path or hub id."""


class DamagedFile(ModelError, OSError):
    """A wheel, GGUF, adapter or manifest whose bytes are not what they should be."""


class AdapterMismatch(ModelError, ValueError):
    """An adapter made for another base model or chat template."""


class StoreError(SlowwaveError):
    """The store cannot be opened, read or written."""


class NotFound(SlowwaveError, LookupError):
    """No experience, lesson, night or persona of that name."""


class ImportFailed(SlowwaveError, ValueError):
    """A file that holds nothing we can read as exchanges."""


class TrainingError(SlowwaveError):
    """Training cannot start or go on: nothing to learn from, or too many non-finite steps."""


class ExamError(SlowwaveError):
    """A night cannot be examined: an empty panel, a NaN, no questions."""


class NightError(SlowwaveError):
    """A night cannot begin or go on."""


class LeaseHeld(NightError):
    """Somebody else is sleeping, or took over while we were."""


class OutOfSpace(SlowwaveError, OSError):
    """No disk space (or memory) left."""


class ServerError(SlowwaveError):
    """The server cannot start: the port is in use, or it would listen beyond loopback without a key."""


class UpstreamError(SlowwaveError, OSError):
    """The upstream endpoint is down, slow, or streams what is not the protocol."""
