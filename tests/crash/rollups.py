# SPDX-License-Identifier: MIT
"""
What the service metered, from the log alone: sums by hour and labels, recomputed from the books as
they stand, and read back from the table of rollups. All integers: they must come out equal.
"""
import struct
from dataclasses import dataclass, field

import records
from books import Book
from lmdbfile import DataFile
from records import Decided, crc32c

HOUR_MS, NO_MODEL, NO_BAND, NO_CLUSTER = 3600000, 255, 255, 255
FIELDS = ("requests", "attempts", "settled", "cost", "baseline", "input", "cached", "output", "reasoning", "labels",
          "quality", "value", "timed", "latency", "failures", "reported", "computed", "unpriced",
          "refused")
Key = tuple[int, int, int, int, str, str, str, str, str]  # hour, slot, cluster, band, names


class Bad(Exception):
    """The table is not what the layout says."""


def rounded(v: float) -> int:
    return int(v + 0.5) if v > 0 else 0


def key_of(time_ms: int, d: Decided) -> Key:
    band = NO_BAND if d.complexity < 0 else min(int(d.complexity * 4), 3)
    return (time_ms // HOUR_MS, d.arm, d.cluster, band, d.tenant, d.labels[6], d.task, d.group,
            d.domain or d.inferred_domain)


def amount(d: Decided, book: Book) -> tuple[int, ...]:
    """One decision's share of the sums; refusals are not in the log."""
    credit = book.credit
    prompt, cached = book.average(records.PROMPT_TOKENS), book.average(records.CACHED_TOKENS)
    tokens, cost = book.average(records.OUTPUT_TOKENS), book.average(records.COST)
    thought = book.average(records.REASONING) or 0.0
    latency, failed = book.average(records.LATENCY), book.average(records.FAILED)
    given = float(d.prompt_tokens) if prompt is None else prompt
    held = float(d.cached_tokens) if cached is None else cached
    computed = 0
    if cost is not None and tokens is not None:
        computed = rounded((float(d.price_in) * max(given - held, 0.0) +
                            float(d.price_cached) * held + float(d.price_out) * tokens +
                            float(d.price_reasoning - d.price_out) * min(thought, tokens)) / 1000)
    labelled = credit.applied & 1 and not book.escalated()
    return (int(d.attempt_from == 0), 1, int(credit.cost_nano is not None),
            d.booked_nano if credit.cost_nano is None else credit.cost_nano,
            0 if d.attempt_from else d.baseline_nano,
            rounded(given), rounded(held), rounded(tokens or 0.0), rounded(thought), int(labelled),
            rounded(credit.quality * 1e9) if labelled else 0,
            rounded(credit.quality * d.value * 1e6) if labelled else 0,
            int(latency is not None), rounded((latency or 0.0) * 1e3),
            int((failed or 0.0) >= 0.5),
            rounded(cost) if computed or (cost is not None and tokens is not None) else 0, computed,
            int(cost is None and d.price_in == 0 and d.price_out == 0), 0)


@dataclass
class Rollups:
    """The sums so far."""
    rows: dict[Key, list[int]] = field(default_factory=dict)
    now: dict[int, tuple[int, ...]] = field(default_factory=dict)  # by decision

    def put(self, seq: int, time_ms: int, d: Decided, book: Book) -> None:
        """A decision is new, or its book has changed."""
        before, after = self.now.get(seq, (0,) * len(FIELDS)), amount(d, book)
        row = self.rows.setdefault(key_of(time_ms, d), [0] * len(FIELDS))
        for i, (a, b) in enumerate(zip(after, before)):
            row[i] += a - b
        self.now[seq] = after

    def differences(self, path: str, last_seq: int) -> list[str]:
        """Where the table says something else."""
        stored, seq = read(path)
        if not stored and not self.rows:
            return []
        out = [] if seq == last_seq else [f"rollups stand at {seq}, the log at {last_seq}"]
        for key in sorted(set(stored) | set(self.rows)):
            theirs, ours = stored.get(key, [0] * len(FIELDS)), self.rows.get(key)
            if key[1] == NO_MODEL:
                continue
            ours = ours or [0] * len(FIELDS)
            out += [f"rollup {key}: {name}: table {a}, log {b}"
                    for name, a, b in zip(FIELDS, theirs, ours) if a != b]
        return out


def _key(data: bytes) -> Key:
    hour, slot, cluster, band = struct.unpack_from(">IBBB", data)
    at, names = 7, []
    for _ in range(5):
        n = data[at]
        names.append(data[at + 1:at + 1 + n].decode())
        at += 1 + n
    if at != len(data):
        raise Bad(f"key of {len(data)} bytes, {at} read")
    return (hour, slot, cluster, band, *names)


def read(path: str) -> tuple[dict[Key, list[int]], int]:
    """The rows of the table and the record that they go up to."""
    data = DataFile(path)
    rows: dict[Key, list[int]] = {}
    seq = 0
    try:
        for key, value in data.items("rollup"):
            body, (seal,) = value[:-4], struct.unpack("<I", value[-4:])
            if seal != crc32c(body, crc32c(key)):
                raise Bad(f"rollup {key!r}: wrong seal")
            if key[:1] == b"h":
                rows[_key(key[1:])] = list(struct.unpack(f"<{len(FIELDS)}q", body))
            elif key[:1] == b"s":
                seq = struct.unpack_from("<Q", body)[0]
    finally:
        data.close()
    return rows, seq
