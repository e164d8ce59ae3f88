# SPDX-License-Identifier: MIT
"""Ports for services of tests."""
import random
import socket


def free_ports(n: int) -> list[int]:
    """Ports below the range that the kernel gives to clients: none of those that run meanwhile takes
    them, and a client of a dead service is not given the service's own and talks to itself. Drawn
    anew each time, whatever seed a test has: others may be running."""
    rng, found = random.SystemRandom(), []
    while len(found) < n:
        port = rng.randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
