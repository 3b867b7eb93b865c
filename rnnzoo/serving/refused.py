"""A request that gets an error for an answer."""

from __future__ import annotations


class Refused(Exception):
    """status: of HTTP. message: one line, for whoever sent the request. param: the key of the request it is about."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param = status, message, param

    def body(self) -> dict[str, object]:
        """The error as OpenAI's interface has it, for all paths."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.status}}
