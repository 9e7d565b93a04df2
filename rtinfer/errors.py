"""The errors a user sees: one sentence that holds the value, what was expected, and the fix."""


class RtinferError(Exception):
    """A failure told in one sentence; `exit_code` is what a command that ends with it returns."""

    exit_code: int = 1

    def __init__(self, sentence: str, exit_code: int | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        if exit_code is not None:
            self.exit_code = exit_code


class UsageError(RtinferError):
    """The request itself is wrong: an argument, an option, a configuration. Exit code 2."""

    exit_code = 2


class CheckError(RtinferError):
    """What was asked for is clear, but what was checked falls short or failed. Exit code 1."""

    exit_code = 1


def first_line(error: Exception) -> str:
    """What an error of another library says, short enough for our own sentence."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".")[:200] if lines else type(error).__name__
