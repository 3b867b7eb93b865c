"""HTTP as uvicorn reads it, but for headers without end and clients that never finish theirs."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS = 2**16  # bytes of a request's line and headers
SECONDS = 10.0  # until they are complete


class BoundedProtocol(HttpToolsProtocol):
    """One connection, which is closed if a request's headers are too long, or come too slowly."""

    waiting: asyncio.TimerHandle | None = None
    bytes_of_headers = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a socket has no other
        super().connection_made(transport)
        self.waiting = self.loop.call_later(SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.waiting is None:
            self.waiting = self.loop.call_later(SECONDS, self.transport.close)

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.waiting is not None:
            self.bytes_of_headers += len(data)
            if self.bytes_of_headers > HEADERS and not self.transport.is_closing():
                self.send_400_response(f"The headers have more than {HEADERS} bytes.")

    def _headers_came(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()
        self.waiting, self.bytes_of_headers = None, 0
