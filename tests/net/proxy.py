# SPDX-License-Identifier: MIT
"""
A TCP proxy that is a bad network. Each connection through it gets a mood, drawn from a seed:

  plain    passes everything on
  delay    every piece waits a moment
  dribble  passes a few bytes at a time
  cut      resets both sides after so many bytes
  half     ends one direction after so many bytes and goes on with the other
  stall    stops reading from the service after so many bytes and keeps the connection: for the service,
           a client that does not take its replies
  deaf     swallows what the client sends after so many bytes
  twice    sends what the client first said once more, over a connection of its own

It knows nothing of what passes, so it serves NNG and HTTP alike.
"""
import random
import socket
import struct
import threading
import time
from collections import Counter

MOODS = {"plain": 4, "delay": 3, "dribble": 3, "cut": 4, "half": 2, "stall": 1, "deaf": 1, "twice": 4}
RESET = struct.pack("ii", 1, 0)
PIECE = 65536


class Proxy:
    """Listens on `port` and passes on to `target`, until closed."""

    def __init__(self, port: int, target: int, seed: str, moods: dict = MOODS) -> None:
        self.port, self.target, self.rng, self.moods = port, target, random.Random(seed), moods
        self.met: Counter[str] = Counter()
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                client, _ = self.listener.accept()
                mood = self.rng.choices(list(self.moods), list(self.moods.values()))[0]
                service = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                continue
            self.met[mood] += 1
            Connection(self, client, service, mood, random.Random(self.rng.random()))

    def close(self) -> None:
        self.over.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept; close alone does not
        except OSError:
            pass
        self.listener.close()


class Connection:
    def __init__(self, proxy: Proxy, client: socket.socket, service: socket.socket, mood: str,
                 rng: random.Random) -> None:
        self.proxy, self.client, self.service, self.mood, self.rng = proxy, client, service, mood, rng
        self.said = b""  # by the client, as far as `twice` wants it
        self.after = rng.choice((0, 8, rng.randrange(40), rng.randrange(3000), rng.randrange(30000)))
        self.upward = rng.random() < 0.5  # the direction that cut and half are about
        for s in (client, service):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.settimeout(20)
        self.threads = [threading.Thread(target=self._pump, args=pair, daemon=True)
                        for pair in ((client, service, True), (service, client, False))]
        for t in self.threads:
            t.start()

    def _pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        passed = 0
        try:
            while not self.proxy.over.is_set() and (piece := source.recv(PIECE)):
                passed = self._pass(piece, sink, upward, passed)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._reset()
        if upward and self.mood == "twice" and self.said:
            self._again()

    def _pass(self, piece: bytes, sink: socket.socket, upward: bool, passed: int) -> int:
        about = upward == self.upward
        if upward and len(self.said) < 4096:
            self.said += piece
        if self.mood == "delay":
            time.sleep(self.rng.random() * 0.03)
        if self.mood in ("cut", "half") and about and passed + len(piece) >= self.after:
            sink.sendall(piece[:max(0, self.after - passed)])
            if self.mood == "cut":
                raise OSError("cut")
            sink.shutdown(socket.SHUT_WR)
            return passed + len(piece)  # what follows fails, and resets
        if self.mood == "stall" and not upward and passed >= self.after:
            self.proxy.over.wait(20)
        if self.mood == "deaf" and upward and passed >= self.after:
            return passed
        if self.mood == "dribble" and passed < 2000:
            for i in range(0, len(piece), 7):
                sink.sendall(piece[i:i + 7])
                time.sleep(0.0003)
        else:
            sink.sendall(piece)
        return passed + len(piece)

    def _again(self) -> None:
        """The client has gone: what it first said is said again."""
        try:
            with socket.create_connection(("127.0.0.1", self.proxy.target), 2) as s:
                s.sendall(self.said)
                s.settimeout(0.3)
                while s.recv(PIECE):
                    pass
        except OSError:
            pass

    def _reset(self) -> None:
        for s in (self.client, self.service):
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                s.shutdown(socket.SHUT_RDWR)  # wakes the other direction
            except OSError:
                pass
            s.close()
