# SPDX-License-Identifier: MIT
"""
A REQ client over TCP, written from the wire format of nanomsg's Scalability Protocols and not from
our C code or NNG: so the crash test does not trust what it tests.

A connection begins with eight bytes from each side, 00 'S' 'P' 00, the protocol number (REQ 48, REP
49) as a big-endian 16-bit number, and two zero bytes. A message is its length (big-endian, 64 bits)
and its body. The body of a request begins with four bytes, a number with the highest bit set, that
the reply repeats.
"""
import socket
import struct

REQ, REP = 0x30, 0x31
HELLO = struct.Struct(">4sHH")
LENGTH = struct.Struct(">Q")
IDENTITY = struct.Struct(">I")
MOST_BYTES = 64 << 20


class Broken(Exception):
    """The connection ended, or what came is not the protocol: send again over a new one."""


class Requester:
    """One connection to one REP socket. Not shared between threads."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        self._next = 0
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        except OSError as e:
            raise Broken(f"connect: {e}") from e
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(HELLO.pack(b"\0SP\0", REQ, 0))
            magic, protocol, _ = HELLO.unpack(self._exactly(HELLO.size))
        except (OSError, Broken) as e:
            self.close()
            raise Broken(f"greeting: {e}") from e
        if (magic, protocol) != (b"\0SP\0", REP):
            self.close()
            raise Broken(f"not a REP socket: {magic!r} {protocol}")

    def _exactly(self, n: int) -> bytes:
        parts = bytearray()
        while len(parts) < n:
            some = self._socket.recv(n - len(parts))
            if not some:
                raise Broken("closed by the service")
            parts += some
        return bytes(parts)

    def send(self, body: bytes) -> int:
        """Sends a request and gives its number, for receive."""
        self._next = (self._next + 1) & 0x7FFFFFFF
        number = 0x80000000 | self._next
        frame = LENGTH.pack(len(body) + IDENTITY.size) + IDENTITY.pack(number) + body
        try:
            self._socket.sendall(frame)
        except OSError as e:
            raise Broken(f"send: {e}") from e
        return number

    def receive(self, number: int) -> bytes:
        """The reply to request `number`; replies to earlier ones are dropped, as REQ does."""
        try:
            while True:
                (n,) = LENGTH.unpack(self._exactly(LENGTH.size))
                if n < IDENTITY.size or n > MOST_BYTES:
                    raise Broken(f"a message of {n} bytes")
                body = self._exactly(n)
                if IDENTITY.unpack_from(body)[0] == number:
                    return body[IDENTITY.size:]
        except OSError as e:
            raise Broken(f"receive: {e}") from e

    def ask(self, body: bytes) -> bytes:
        return self.receive(self.send(body))

    def close(self) -> None:
        self._socket.close()
