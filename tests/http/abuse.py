# SPDX-License-Identifier: MIT
"""Raw sockets that do not behave: each is refused or cut off, others are served meanwhile."""
import time

from service import Service

HOST = b"Host: x\r\n"
JSON = HOST + b"Content-Type: application/json\r\n"
BODY = b'{"v":1,"op":"route","prompt":"x"}'


def read_all(c):
    got = b""
    try:
        while some := c.recv(65536):
            got += some
    except OSError:
        pass
    return got


def say(s, *parts, half=False):
    c = s.raw()
    c.settimeout(5)
    try:
        for p in parts:
            c.sendall(p)
        if half:
            c.shutdown(1)
    except OSError:
        pass
    got = read_all(c)
    c.close()
    return got


def code(answer):
    return int(answer.split(b" ")[1]) if answer else 0


def test_malformed(build):
    """covers: P19 P20 P21 A status of 400 and above, or a closed connection; never an answer to half a request."""
    s = Service(build, http={"body_bytes": 4096, "idle_ms": 1500, "request_ms": 1500})
    post = b"POST /v1/route HTTP/1.1\r\n" + JSON
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
    for what in (
            b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET /v1/weights HTTP/9.9\r\n" + HOST + b"\r\n",
            b"GET /v1/weights HTTP/1.1\r\n\r\n",
            b"GET /v1/weights HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 9000 + b"\r\n\r\n",
            b"GET /v1/weights HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 3000 + b"\r\n",
            b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
            post + b"Content-Length: 33\r\nContent-Length: 5\r\n\r\n" + BODY,
            post + b"Content-Length: 33\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
            post + b"Content-Length: -1\r\n\r\n" + BODY,
            post + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
            post + b"Content-Length: 5000\r\n\r\n" + b" " * 5000,
            chunked + b"ffffffffffffffff\r\n" + BODY, chunked + b"zz\r\n" + BODY,
            chunked + b"1388\r\n" + b" " * 5000 + b"\r\n0\r\n\r\n",
            post + b"Content-Length: 100\r\n\r\n" + BODY):  # the rest never comes
        got = say(s, what)
        assert code(got) == 0 or code(got) >= 400, (what[:80], got[:200])
    assert s.get("/v1/status")["status"] == "serving"
    assert s.stop()[0] == 0


def test_well_formed_but_odd(build):
    s = Service(build, http={"idle_ms": 1500})
    post = b"POST /v1/route HTTP/1.1\r\n" + JSON
    half = len(BODY) // 2
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (half, BODY[:half], len(BODY) - half, BODY[half:])
    got = say(s, post + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n", chunks)
    assert code(got) == 200, got
    one = post + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    got = say(s, one * 50 + b"GET /nothing HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert got.count(b"HTTP/1.1 200 OK") == 50 and got.count(b"HTTP/1.1 404") == 1, got[:200]
    got = say(s, post + b"Connection: close\r\nContent-Length: 5\r\n\r\n{\"v\":")
    assert code(got) == 400 and b"bad_json" in got, got
    code(say(s, one, half=True))  # answered or not, but it must not stay
    assert s.get("/v1/status")["status"] == "serving"
    assert s.stop()[0] == 0


def test_many_arguments(build):
    """More than there is memory for: cut off at once, though nothing else happens."""
    s = Service(build)
    c = s.raw()
    c.settimeout(10)  # of an idle connection it is longer
    c.sendall(b"GET /v1/spend?" + b"a=b&" * 450 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert c.recv(1) in (b"", b"H")
    c.close()
    assert s.ask("GET", "/v1/status")[0] == 200
    assert s.stop()[0] == 0


def test_dripping(build):
    """covers: P22 A byte now and then does not keep a connection; the bound is on the whole."""
    s = Service(build, http={"idle_ms": 1000, "request_ms": 1000})
    held = [s.raw() for _ in range(100)]
    before, memory, began = s.get("/v1/status"), s.rss_kb(), time.monotonic()
    alive = set(range(100))
    while alive and time.monotonic() - began < 10:
        for i in list(alive):
            try:
                held[i].sendall(b"G" if i % 2 else b"A")
                held[i].settimeout(0.001)
                if held[i].recv(1000) == b"":
                    alive.discard(i)
            except TimeoutError:
                pass
            except OSError:
                alive.discard(i)
        assert s.get("/v1/status")["status"] == before["status"]
        assert s.ask("GET", "/healthz", door="metrics")[0] == 200
    assert not alive and s.rss_kb() < memory + 20000, (len(alive), s.rss_kb(), memory)
    for c in held:
        c.close()
    assert s.stop()[0] == 0


def test_full_house(build):
    """Health answers although the main address takes nobody more."""
    s = Service(build, http={"connections": 20, "connections_per_client": 10})
    held = [s.raw() for _ in range(40)]
    assert s.ask("GET", "/readyz", door="metrics")[0] == 200
    for c in held:
        c.close()
    for _ in range(100):
        try:
            if s.ask("GET", "/v1/status")[0] == 200:
                break
        except OSError:
            time.sleep(0.05)
    else:
        raise AssertionError("nobody is let in any more")
    assert s.stop()[0] == 0
