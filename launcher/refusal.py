"""Exit statuses, and why something is not done in words for a person."""

YES = 0
NO = 1
USAGE = 2


class Refused(Exception):
    """The message is what the person reads: the fact and the remedy, one line a fact."""

    def __init__(self, message: str, status: int = NO) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
