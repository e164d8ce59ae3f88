# SPDX-License-Identifier: MIT
"""
Decodes log records, from the layout in core/event/event.h and core/event/event.c, with a CRC-32C of its own. A
record is [u32 crc32c of what follows][u8 version][u8 kind][u16 0][u64 seq][i64 time] and the fields
of its kind, little-endian, strings with a length byte. Anything else is Bad: the test then fails.
"""
import struct
from typing import NamedTuple, Union

(STARTED, CONFIGURED, DECIDED, FEEDBACK, TICKED, PACED, DRIFTED, TAUGHT, _LENS, EXPIRED,
 HULL, LENT, LEARNED) = range(1, 14)
CELLS, TARGETS = 8, 4
QUALITY, PROMPT_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS, COST, LATENCY, FAILED, REASONING = (
    1 << i for i in range(CELLS))
HEAD = struct.Struct("<IBBHQq")


class Bad(Exception):
    """The record is not what the layout says."""


def _table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


TABLE = _table()


def crc32c(data: bytes, seed: int = 0) -> int:
    crc, table = seed ^ 0xFFFFFFFF, TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


class Started(NamedTuple):
    epoch: int
    max_open: int


class Configured(NamedTuple):
    origin: str
    json: bytes


class Charge(NamedTuple):
    """What a decision reserves in its pools: (nanodollars, tokens) by mode."""
    pools: int
    strict: int  # bit per pool
    worst: tuple[int, int]
    likely: tuple[int, int]


class Hold(NamedTuple):
    pools: int
    strict: int
    open: bool
    reserved: tuple[tuple[int, int], tuple[int, int]]  # strict, quantile
    booked: tuple[tuple[int, int], tuple[int, int]]


class Lent(NamedTuple):
    on: bool


class Expired(NamedTuple):
    decision: int


class Decided(NamedTuple):
    request_id: str
    attempt_from: int  # 0 = a first attempt
    attempt: int  # counts from 1
    tenant: str
    task: str
    domain: str
    group: str
    epoch: int
    n_arms: int
    arm: int
    learner: int
    prompt_tokens: int
    cached_tokens: int
    price_in: int
    price_cached: int
    price_out: int
    price_reasoning: int
    booked_nano: int
    baseline_nano: int
    silence_due_ms: int  # 0 = never
    silence_quality: float
    u: float
    value: float
    cluster: int  # 255 = none
    complexity: float  # -1 = not known
    inferred_domain: str
    pmf: dict[int, float]  # of the eligible slots
    max_output_tokens: int
    labels: tuple[str, ...]  # tenant, task, domain, user_tier, group, session, user
    charge: Union[Charge, None]


class Labels(NamedTuple):
    """A label book as far as it can be compared: the rest are hashes."""
    n_sources: int
    n_seen: int
    applied: int
    cost_nano: Union[int, None]
    quality: float
    hold: Union[Hold, None]


class Feedback(NamedTuple):
    epoch: int
    decision: int
    feedback_id: str
    source: str
    digest: int
    has: int
    retract: bool
    failed: bool
    version: int
    quality: float
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_nano: int
    latency_ms: float
    recalled: Union[Labels, None]


Body = Union[Started, Configured, Decided, Feedback, Expired, Lent, None]


class Record(NamedTuple):
    seq: int
    time_ms: int
    kind: int
    body: Body


class Cursor:
    """Bounded reading; unpack raises Bad past the end."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def get(self, layout: str) -> tuple:
        layout = "<" + layout
        try:
            out = struct.unpack_from(layout, self.data, self.at)
        except struct.error as e:
            raise Bad(f"ends early: {e}") from e
        self.at += struct.calcsize(layout)
        return out

    def raw(self, n: int) -> bytes:
        if self.at + n > len(self.data):
            raise Bad("ends early")
        self.at += n
        return self.data[self.at - n:self.at]

    def text(self) -> str:
        return self.raw(self.get("B")[0]).decode()

    def flag(self) -> bool:
        (v,) = self.get("B")
        if v > 1:
            raise Bad(f"a truth value of {v}")
        return v == 1


def _charge(c: Cursor) -> Union[Charge, None]:
    (n,) = c.get("B")
    if n == 255:  # charged to nothing, paced pools might have been
        c.get("Q")
    if n in (0, 255):
        return None
    strict, _paced, _bounded = c.get("BQB")
    worst, likely = c.get("2q"), c.get("2q")
    c.text()
    c.get("2q")
    return Charge(n, strict, worst, likely)


def _hold(c: Cursor) -> Union[Hold, None]:
    (n,) = c.get("B")
    if n == 0:
        return None
    (strict,), is_open = c.get("B"), c.flag()
    c.get(f"{n}I")
    v = c.get("8q")  # reserved, booked by mode and unit
    return Hold(n, strict, is_open, ((v[0], v[2]), (v[4], v[6])), ((v[1], v[3]), (v[5], v[7])))


def _decided(c: Cursor) -> Decided:
    request_id = c.text()
    attempt_from, _tier, earlier = c.get("QBB")
    labels = tuple(c.text() for _ in range(8))
    tenant, task, domain, _tier, group, _session, _user, _outcome = labels
    _digest, _schema, _config, epoch = c.get("QQQI")
    _policy, n_arms, arm, _baseline, learner, _shadow, n_fallbacks = c.get("BBBBBBB")
    c.raw(n_fallbacks)
    _reasons, eligible = c.get("IQ")
    _floor, _quota, _quota_nano, u, value, *_ = c.get("2dq9d")
    prompt, cached, most, p_in, p_cached, p_out, p_reasoning = c.get("7q")
    c.flag()  # batch: the prices are those of it
    booked, _policy_cost, baseline, _dearest = c.get("4q")
    cluster, complexity = c.get("Bf")
    inferred = c.text()
    *_, due, silence = c.get("6fqf")
    charge = _charge(c)
    c.raw(4 * c.get("B")[0])
    pmf = {slot: c.get("d4f4f2fq")[0] for slot in range(64) if eligible >> slot & 1}
    if arm >= n_arms or arm not in pmf:
        raise Bad(f"slot {arm} was not eligible")
    return Decided(request_id, attempt_from, earlier + 1, tenant, task, domain, group, epoch, n_arms, arm, learner, prompt,
                   cached, p_in, p_cached, p_out, p_reasoning, booked, baseline, due, silence, u, value, cluster,
                   complexity, inferred, pmf, most, labels, charge)


def _labels(c: Cursor) -> Labels:
    c.get("QqIBBQQQ8q5fd3fqf")  # the row: known from the decision's own record
    c.raw(4 * c.get("B")[0])
    n_sources, n_seen, applied = c.get("3B")
    has_cost = c.flag()
    cost, _learned, _priced = c.get("3q")
    hold = _hold(c)
    label = c.get("4d")
    for _ in range(n_sources):
        _name, mask = c.get("QB")
        for _ in range(mask.bit_count()):
            c.get("qdB")
    c.get(f"{2 * n_seen}Q")
    return Labels(n_sources, n_seen, applied, cost if has_cost else None, label[0], hold)


def _feedback(c: Cursor) -> Feedback:
    epoch, decision, _mac = c.get("IQQ")
    feedback_id, source = c.text(), c.text()
    digest, has = c.get("QB")
    retract, failed = c.flag(), c.flag()
    version, _attempt, quality, prompt, cached, output, thought, cost, latency = c.get("qqdqqqqqd")
    recalled = _labels(c) if c.flag() else None
    return Feedback(epoch, decision, feedback_id, source, digest, has, retract, failed, version,
                    quality, prompt, cached, output, thought, cost, latency, recalled)


def _body(kind: int, c: Cursor) -> Body:
    if kind == STARTED:
        return Started(*c.get("Iq"))
    if kind == CONFIGURED:
        origin = c.text()
        _hash, n = c.get("QI")
        return Configured(origin, c.raw(n))
    if kind == DECIDED:
        return _decided(c)
    if kind == FEEDBACK:
        return _feedback(c)
    if kind == TAUGHT:
        _feedback(c)
    elif kind == EXPIRED:
        return Expired(*c.get("Q"))
    elif kind == DRIFTED:
        c.get("BBBB")
    elif kind == PACED:
        c.get("BB4d")
    elif kind == HULL:
        c.get("Bd")
        c.get(f"{c.get('Q')[0].bit_count()}d")
        c.get("q3d")
    elif kind == LENT:
        return Lent(c.flag())
    elif kind == LEARNED:
        c.text()
        c.get("BBBBqqdQ")
        c.raw(c.get("I")[0])
    elif kind != TICKED:
        raise Bad(f"kind {kind}")
    return None


def decode(data: bytes) -> Record:
    if len(data) < HEAD.size:
        raise Bad(f"{len(data)} bytes")
    crc, version, kind, zero, seq, time_ms = HEAD.unpack_from(data)
    if crc != crc32c(data[4:]):
        raise Bad("wrong checksum")
    if version != 1 or zero:
        raise Bad(f"version {version}, reserved {zero}")
    c = Cursor(data, HEAD.size)
    body = _body(kind, c)
    if c.at != len(data):
        raise Bad(f"{len(data) - c.at} bytes too many")
    return Record(seq, time_ms, kind, body)
