"""What an admin's command could not do."""


class NotDone(Exception):
    """What was asked for is not done, or not for everybody; ``lines`` say what became of whom."""

    def __init__(self, what: str, lines: list[str]) -> None:
        super().__init__("\n".join([what, *lines]))
