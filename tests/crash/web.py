# SPDX-License-Identifier: MIT
"""A client of HTTP with the interface of sp.Requester, on a raw socket: a response that is cut off is
no response."""
import socket

from sp import Broken

PATHS = {"route": "/v1/route", "escalate": "/v1/route", "feedback": "/v1/feedback"}


class WebRequester:
    def __init__(self, port: int, path: str, timeout: float) -> None:
        self.path, self._rest = path, b""
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as e:
            raise Broken(f"connect: {e}") from e

    def send(self, body: bytes) -> int:
        head = (f"POST {self.path} HTTP/1.1\r\nHost: purser\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        try:
            self._socket.sendall(head + body)
        except OSError as e:
            raise Broken(f"send: {e}") from e
        return 0

    def _more(self) -> None:
        some = self._socket.recv(65536)
        if not some:
            raise Broken("closed by the service")
        self._rest += some

    def receive(self, _number: int) -> bytes:
        try:
            while b"\r\n\r\n" not in self._rest:
                self._more()
            head, _, rest = self._rest.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").lower().split("\r\n")
            length = [int(x.split(":")[1]) for x in lines if x.startswith("content-length:")]
            if len(length) != 1 or not lines[0].startswith("http/1.1 "):
                raise Broken(f"not an answer: {lines[0]}")
            self._rest = rest
            while len(self._rest) < length[0]:
                self._more()
        except OSError as e:
            raise Broken(f"receive: {e}") from e
        body, self._rest = self._rest[:length[0]], self._rest[length[0]:]
        return body

    def close(self) -> None:
        self._socket.close()
