# SPDX-License-Identifier: MIT
"""MessagePack through both doors: what is asked in it is answered in it, with what JSON says."""
import json
import random
import struct

from doors import some_request
from service import JSON, Service

PACKED = {"Content-Type": "application/msgpack"}


def pack(v):
    if v is None or isinstance(v, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[v]
    if isinstance(v, int):
        return b"\xd3" + struct.pack(">q", v)
    if isinstance(v, float):
        return b"\xcb" + struct.pack(">d", v)
    if isinstance(v, bytes):
        return b"\xc6" + struct.pack(">I", len(v)) + v
    if isinstance(v, str):
        return b"\xdb" + struct.pack(">I", len(v.encode())) + v.encode()
    if isinstance(v, list):
        return b"\xdd" + struct.pack(">I", len(v)) + b"".join(map(pack, v))
    return b"\xdf" + struct.pack(">I", len(v)) + b"".join(pack(k) + pack(m) for k, m in v.items())


class Reader:
    """As much of MessagePack as there is in replies."""

    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, n):
        self.at += n
        assert self.at <= len(self.raw), "too short"
        return self.raw[self.at - n:self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def items(self, n):
        return [self.value() for _ in range(n)]

    def members(self, n):
        pairs = [(self.value(), self.value()) for _ in range(n)]
        assert len(dict(pairs)) == n, pairs
        return dict(pairs)

    def value(self):
        c = self.number("B")
        if c <= 0x7f or c >= 0xe0:
            return c if c <= 0x7f else c - 256
        if c <= 0x9f:
            return self.members(c & 15) if c <= 0x8f else self.items(c & 15)
        if c <= 0xbf:
            return self.take(c & 31).decode()
        plain = {0xc0: None, 0xc2: False, 0xc3: True}
        if c in plain:
            return plain[c]
        sized = {0xca: "f", 0xcb: "d", 0xcc: "B", 0xcd: "H", 0xce: "I", 0xcf: "Q", 0xd0: "b",
                 0xd1: "h", 0xd2: "i", 0xd3: "q"}
        if c in sized:
            return self.number(sized[c])
        n = self.number({0xd9: "B", 0xda: "H", 0xdb: "I", 0xdc: "H", 0xdd: "I", 0xde: "H",
                         0xdf: "I"}[c])
        return (self.take(n).decode() if c <= 0xdb else self.items(n) if c <= 0xdd
                else self.members(n))


def unpack(raw):
    r = Reader(raw)
    value = r.value()
    assert r.at == len(raw), "something follows"
    return value


def alike(a, b):
    """Equal but for the digits that JSON leaves out."""
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, (int, float)) and not isinstance(a, bool):
        return abs(a - b) <= 6e-6 * abs(a)
    return a == b


def test_dry_runs_agree_in_both_encodings(build):
    """Requests, sound and not, as dry runs, over two doors and in two encodings."""
    rng, s, refused = random.Random(12), Service(build), 0
    for n in range(300):
        body = {**some_request(rng, n), "dry_run": True}
        if rng.random() < 0.1:
            body = {"v": 1, "op": "route_many", "items": [dict(body), {"task": 1}]}
            body["items"][0].pop("v"), body["items"][0].pop("op")
        status, _, said = s.ask("POST", "/v1/route", json.dumps(body), JSON)
        got, headers, packed = s.ask("POST", "/v1/route", pack(body), PACKED)
        assert got == status and headers["Content-Type"] == "application/msgpack", (got, status)
        assert packed == s.over_nng("route", pack(body)), body
        assert alike(json.loads(said), unpack(packed)), (body, said, unpack(packed))
        refused += status != 200
    assert 30 < refused < 270, refused
    assert s.stop()[0] == 0


def test_a_retry_may_change_the_encoding(build):
    s = Service(build)
    body = {"v": 1, "op": "route", "request_id": "r", "embedding": [1.0, 0.5]}
    first = s.post("/v1/route", body)
    body["embedding"] = struct.pack("<2f", 1, 0.5)
    again = unpack(s.over_nng("route", pack(body)))
    assert first["decision_id"] == again["decision_id"] and first["model"] == again["model"]
    report = {"v": 1, "op": "feedback", "decision_id": first["decision_id"], "quality": 0.25}
    told = unpack(s.over_nng("feedback", pack(report)))
    assert told == {"v": 1, "status": "applied", "decision_id": first["decision_id"]}, told
    assert s.post("/v1/feedback", report)["status"] == "duplicate"
    assert s.stop()[0] == 0


def test_control_answers_in_it_too(build):
    s = Service(build)
    for op in ("models.list", "policy.get", "config.get", "weights.get"):
        said = json.loads(s.over_nng("control", json.dumps({"v": 1, "op": op}).encode()))
        packed = unpack(s.over_nng("control", pack({"v": 1, "op": op})))
        assert said == packed, (op, said, packed)
    got, headers, packed = s.ask("POST", "/v1/control", pack({"v": 1, "op": "nothing"}), PACKED)
    assert (got, headers["Content-Type"]) == (400, "application/msgpack"), got
    assert unpack(packed)["error"]["code"] == "bad_request"
    long = {"v": 1, "op": "route", "prompt": "x" * (1 << 20)}
    got, headers, packed = s.ask("POST", "/v1/route", pack(long), PACKED)
    assert got == 413 and unpack(packed)["error"]["code"] == "too_large", (got, packed)
    assert s.stop()[0] == 0
