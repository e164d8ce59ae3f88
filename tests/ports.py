# SPDX-License-Identifier: MIT
"""Ports for services of tests."""
import fcntl
import os
import socket

FIRST, MANY = 15000, 17000


def drawn() -> int:
    """The next port in turn of all tests on this machine (tests/service.c takes from the same file): drawn
    at random, two of them would now and then be given the same one before either listens."""
    fd = os.open(f"/tmp/purser-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        said = os.pread(fd, 5, 0)
        turn = (int(said) + 1 if said.isdigit() else int.from_bytes(os.urandom(2), "little")) % MANY
        os.pwrite(fd, b"%05d" % turn, 0)
    finally:
        os.close(fd)
    return FIRST + turn


def free_ports(n: int) -> list[int]:
    """Ports below the range that the kernel gives to clients: none of those that run meanwhile takes
    them, and a client of a dead service is not given the service's own and talks to itself."""
    found = []
    while len(found) < n:
        port = drawn()
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found
