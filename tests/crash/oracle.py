# SPDX-License-Identifier: MIT
"""
The judge. It knows what clients sent and what they were answered, reads the log by itself, and says
what a service that keeps its promises could not have done:
  - a reply names a decision or a feedback that is not in the log, or not as replied (lost);
  - one request decided twice while its first decision was still open, one feedback recorded twice,
    one decision id given to two requests (twice);
  - something refused is in the log; something is in the log that nobody sent;
  - an escalation that does not go up, or without the label of the decision it comes from, or two of one;
  - a gap, a wrong checksum, a record that changed after it was read, a clock or epoch that went
    back;
  - labels that a feedback record recalled, or sums that the service reports, differ from those
    recomputed from the log up to the same record; a report reveals what the log then does not have.
"""
import json
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Iterable, Optional

import records
import rollups
from books import ESCALATION, SILENCE, Book, Sums
from lmdbfile import DataFile
from records import Configured, Decided, Feedback, Record, Started
from rollups import Rollups

RECORDED = {"applied", "amended", "retracted", "duplicate"}  # a feedback so answered is in the log
FAR = 64  # violations told at once


class Violation(Exception):
    """A promise was broken; the text has one line for each case."""


@dataclass(eq=False)
class Message:
    """One route or escalate request or one feedback, however often it is sent."""
    kind: str  # route, escalate, feedback
    body: dict
    sends: int = 0
    replies: list[dict] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def routes(self) -> bool:
        """Whether it asks for a decision."""
        return self.kind != "feedback"

    def sending(self) -> None:
        with self.lock:
            self.sends += 1


@dataclass
class Counts:
    routes_acked: int = 0
    feedbacks_acked: int = 0
    duplicates: int = 0
    superseded: int = 0
    refused: int = 0
    same_again: int = 0  # replies that repeated an earlier decision
    recalled: int = 0
    silences: int = 0  # labels that nobody reported in time
    escalations: int = 0
    changes: int = 0
    reports: int = 0
    records: int = 0
    lost: int = 0
    twice: int = 0
    rollups: int = 0  # rows compared


@dataclass
class Kept:
    """A decision of the log."""
    seq: int
    ordinal: int
    time_ms: int
    body: Decided
    book: Book = field(default_factory=Book)
    feedback: list[Feedback] = field(default_factory=list)


FIELDS = {"quality": records.QUALITY, "accepted": records.QUALITY,
          "prompt_tokens": records.PROMPT_TOKENS, "cached_tokens": records.CACHED_TOKENS,
          "output_tokens": records.OUTPUT_TOKENS, "reasoning_tokens": records.REASONING, "cost_usd": records.COST,
          "latency_ms": records.LATENCY, "failed": records.FAILED}


def same_feedback(body: dict, f: Feedback) -> bool:
    """Whether the record is of this message."""
    has = 0
    for name, bit in FIELDS.items():
        if name in body:
            has |= bit
    said = {"quality": f.quality, "accepted": f.quality == 1, "failed": f.failed,
            "prompt_tokens": f.prompt_tokens, "cached_tokens": f.cached_tokens,
            "output_tokens": f.output_tokens, "reasoning_tokens": f.reasoning_tokens, "latency_ms": f.latency_ms}
    return (f.has == has and f.feedback_id == body.get("feedback_id", "") and
            f.source == body.get("source", "default") and f.version == body.get("version", -1) and
            f.retract == body.get("retract", False) and
            ("cost_usd" not in body or f.cost_nano == round(body["cost_usd"] * 1e9)) and
            all(v == body[k] for k, v in said.items() if k in body))


def parse_id(decision_id: str) -> tuple[int, int]:
    epoch, seq, mac = decision_id.split("-")
    if len(mac) != 16:
        raise Violation(f"decision id {decision_id}")
    return int(epoch, 16), int(seq, 16)


class Oracle:
    """Fed by client threads through `answered` and `reported`, asked by the one that kills."""

    def __init__(self, data_file: str) -> None:
        self.path = data_file
        self.counts = Counts()
        self.sums = Sums()
        self.rollups = Rollups()
        self.names: list[str] = []
        self.tenants: list[str] = []  # with a learner of their own
        self.decisions: dict[int, Kept] = {}
        self.last_seq, self.last_ms, self.epoch = 0, 0, 0
        self._owed = 0  # the decision whose label by an escalation must be the next record
        self._answers: deque[tuple[Message, dict]] = deque()
        self._reports: deque[dict] = deque()
        self._messages: list[Message] = []
        self._by_request: dict[tuple[str, str], Kept] = {}
        self._requests: Counter[tuple[str, int]] = Counter()  # (request_id, tokens) of records
        self._ids: dict[str, Message] = {}
        self._sent: set[tuple[str, int]] = set()
        self._check: list[str] = []
        self._crc: list[int] = [0]  # by seq: of the bytes as first read
        self._changes: deque[tuple[int, float]] = deque()  # acknowledged: config_seq, cost weight
        self._configured: dict[int, dict] = {}

    # ---- called by any thread

    def sent(self, message: Message) -> Message:
        """Makes a message known before it is sent."""
        self._messages.append(message)
        if message.routes:
            self._sent.add((message.body.get("request_id", ""), message.body["prompt_tokens"]))
        return message

    def answered(self, message: Message, reply: dict) -> None:
        self._answers.append((message, reply))

    def reported(self, stats: dict) -> None:
        """The service answered `stats`: judged when the log has been read that far."""
        self._reports.append(stats)

    def changed(self, config_seq: int, cost: float) -> None:
        """The service acknowledged weights.set."""
        self._changes.append((config_seq, cost))

    # ---- called while the service is dead

    def judge(self, everything: bool = False) -> None:
        """Reads what the log has got since the last time and judges all that is known."""
        reports = sorted((self._reports.popleft() for _ in range(len(self._reports))),
                         key=lambda s: s["seq"])
        self._check = []
        self._read(deque(reports))
        self._metered()
        touched = {}
        while self._answers:
            message, reply = self._answers.popleft()
            message.replies.append(reply)
            self._reply(message, reply)
            touched[id(message)] = message
        while self._changes:
            self._change(*self._changes.popleft())
        for message in self._messages if everything else touched.values():
            self._absent(message)
        if everything:
            self._reread()
        if self._check:
            more = len(self._check) - FAR
            rest = [f"... and {more} more"] if more > 0 else []
            raise Violation("\n".join(self._check[:FAR] + rest))

    def _bad(self, text: str) -> None:
        self._check.append(text)

    def _read(self, reports: deque[dict]) -> None:
        data = DataFile(self.path)
        try:
            for key, value in data.items("log", (self.last_seq + 1).to_bytes(8, "big")):
                while reports and reports[0]["seq"] <= self.last_seq:
                    self._compare(reports.popleft())
                self._record(int.from_bytes(key, "big"), value)
        finally:
            data.close()
        while reports:
            self._compare(reports.popleft())
        if self._owed:
            self._bad(f"lost: the label of decision {self._owed}, which was escalated")

    def _metered(self) -> None:
        """The table of rollups, as the kill left it, against the log."""
        try:
            for text in self.rollups.differences(self.path, self.last_seq):
                self._bad(f"metered: {text}")
        except rollups.Bad as e:
            raise Violation(f"metered: {e}") from e
        self.counts.rollups += len(self.rollups.rows)

    def _compare(self, stats: dict) -> None:
        if stats["seq"] < self.last_seq:
            return  # the thread that asked woke up after the log had been read further
        self.counts.reports += 1
        if stats["seq"] > self.last_seq:
            self.counts.lost += 1
            self._bad(f"lost: the service reported record {stats['seq']}, "
                      f"the log ends at {self.last_seq}")
            return
        for text in self.sums.differences(stats, self.names):
            self._bad(f"books: at record {self.last_seq}: {text}")

    def _record(self, seq: int, value: bytes) -> None:
        try:
            record = records.decode(value)
        except records.Bad as e:
            raise Violation(f"log: record {seq}: {e}") from e
        if record.seq != seq or seq != self.last_seq + 1:
            raise Violation(f"log: record {record.seq} under key {seq} after {self.last_seq}")
        if record.time_ms < self.last_ms:
            self._bad(f"log: record {seq}: time went back")
        self.last_seq, self.last_ms = seq, record.time_ms
        self._crc.append(int.from_bytes(value[:4], "little"))
        self.counts.records += 1
        self._fold(record)

    def _fold(self, record: Record) -> None:
        body, owed = record.body, self._owed
        self._owed = 0
        if owed and not (isinstance(body, Feedback) and body.source == ESCALATION and
                         body.decision == owed):
            self._bad(f"log: record {record.seq} stands where decision {owed} is to be labelled")
        if isinstance(body, Started):
            if body.epoch <= self.epoch:
                self._bad(f"log: record {record.seq}: epoch {body.epoch} after {self.epoch}")
            self.epoch = body.epoch
            self.sums.started(body.max_open)
        elif isinstance(body, Configured):
            document = json.loads(body.json)
            self.names = [m["name"] for m in document["models"]]
            self.tenants = [own["tenant"] for own in document["learners"]]
            self._configured[record.seq] = {"origin": body.origin, **document["objective"]}
        elif isinstance(body, Decided):
            self._decided(record, body)
        elif isinstance(body, Feedback):
            self._feedback(record, body)

    def _decided(self, record: Record, d: Decided) -> None:
        seq = record.seq
        if d.epoch != self.epoch:
            self._bad(f"log: decision {seq}: epoch {d.epoch}, the service's is {self.epoch}")
        if abs(sum(d.pmf.values()) - 1) > 1e-9 or not d.pmf[d.arm] > 0:
            self._bad(f"log: decision {seq}: probabilities {d.pmf}")
        if d.learner != (self.tenants.index(d.tenant) + 1 if d.tenant in self.tenants else 0):
            self._bad(f"log: decision {seq} for {d.tenant} by learner {d.learner}")
        if (d.request_id, d.prompt_tokens) not in self._sent:
            self._bad(f"log: decision {seq} is of no request: {d.request_id}")
        if d.attempt_from:
            self._escalated(seq, d)
        in_memory = self.sums.first
        self.sums.decided(d)
        kept = Kept(seq, self.sums.decisions, record.time_ms, d)
        self.rollups.put(seq, kept.time_ms, d, kept.book)
        self.decisions[seq] = kept
        self._requests[d.request_id, d.prompt_tokens] += 1
        if not d.request_id:
            return
        first = self._by_request.get((d.tenant, d.request_id))
        if first and first.ordinal > in_memory:
            self.counts.twice += 1
            self._bad(f"twice: request {d.request_id} was decided as {first.seq} and, "
                      f"{kept.ordinal - first.ordinal} decisions later, as {seq}")
        self._by_request[d.tenant, d.request_id] = kept

    def _escalated(self, seq: int, d: Decided) -> None:
        """Models stand in the order of their tiers here."""
        self.counts.escalations += 1
        self._owed = d.attempt_from
        first = self.decisions.get(d.attempt_from)
        if first is None or first.body.tenant != d.tenant:
            self._bad(f"log: decision {seq} comes from {d.attempt_from}, no decision of {d.tenant}")
        elif min(d.pmf) <= first.body.arm or d.attempt != first.body.attempt + 1:
            self._bad(f"log: decision {seq}, attempt {d.attempt} among {sorted(d.pmf)}, comes from "
                      f"attempt {first.body.attempt} by {first.body.arm}")

    def _feedback(self, record: Record, f: Feedback) -> None:
        seq = record.seq
        kept = self.decisions.get(f.decision)
        if kept is None or kept.body.epoch != f.epoch:
            self._bad(f"log: feedback {seq} is of no decision: {f.decision}")
            return
        if f.recalled:
            self._recalled(seq, f, kept)
        wrong = kept.book.take(f)
        if wrong:
            self.counts.twice += "twice" in wrong
            self._bad(f"{'twice' if 'twice' in wrong else 'log'}: record {seq}, "
                      f"decision {f.decision}: {wrong}")
        kept.feedback.append(f)
        self.sums.credited(kept.body, kept.book)
        self.rollups.put(f.decision, kept.time_ms, kept.body, kept.book)
        if f.source == SILENCE:
            self._silence(record, f, kept)

    def _silence(self, record: Record, f: Feedback, kept: Kept) -> None:
        self.counts.silences += 1
        d = kept.body
        if kept.ordinal <= self.sums.first or f.recalled:
            self._bad(f"log: silence {record.seq} labels decision {f.decision}, not in memory")
        if not 0 < d.silence_due_ms <= record.time_ms or f.quality != d.silence_quality:
            self._bad(f"log: silence {record.seq} at {record.time_ms} says {f.quality}, decision "
                      f"{f.decision} promised {d.silence_quality} at {d.silence_due_ms}")

    def _recalled(self, seq: int, f: Feedback, kept: Kept) -> None:
        self.counts.recalled += 1
        book, theirs = kept.book, f.recalled
        ours = records.Labels(len(book.sources), len(book.seen), book.credit.applied,
                              book.credit.cost_nano, book.credit.quality, None)
        if theirs._replace(hold=None) != ours:
            self._bad(f"books: record {seq} recalled decision {f.decision} as {theirs}, "
                      f"the log makes it {ours}")
        if kept.ordinal > self.sums.first:
            self._bad(f"log: record {seq} recalled decision {f.decision}, which was in memory")

    # ---- replies against the log

    def _reply(self, message: Message, reply: dict) -> None:
        if "error" in reply:
            self.counts.refused += 1
        elif message.routes:
            self._routed(message, reply)
        else:
            self._fed(message, reply)

    def _routed(self, message: Message, reply: dict) -> None:
        self.counts.routes_acked += 1
        decision_id = reply["decision_id"]
        owner = self._ids.setdefault(decision_id, message)
        if owner is not message:
            self.counts.twice += 1
            self._bad(f"twice: decision {decision_id} answers two requests: "
                      f"{owner.body} and {message.body}")
        self.counts.same_again += sum(r.get("decision_id") == decision_id
                                      for r in message.replies) > 1
        epoch, seq = parse_id(decision_id)
        kept = self.decisions.get(seq)
        if kept is None or kept.body.epoch != epoch:
            self.counts.lost += 1
            self._bad(f"lost: decision {decision_id} was acknowledged; "
                      f"the log (to {self.last_seq}) has not got it")
            return
        d = kept.body
        log = (d.request_id, d.tenant, d.prompt_tokens, self.names[d.arm], d.pmf[d.arm])
        told = (message.body.get("request_id", ""), message.body["tenant"],
                message.body["prompt_tokens"], reply["model"], reply["propensity"])
        if log != told:
            self._bad(f"decision {decision_id}: the log has {log}, replied was {told}")

    def _fed(self, message: Message, reply: dict) -> None:
        if reply["status"] not in RECORDED:
            self.counts.superseded += 1
            return
        self.counts.feedbacks_acked += 1
        self.counts.duplicates += reply["status"] == "duplicate"
        n = self._found(message)
        if n != 1:
            self.counts.lost += n == 0
            self.counts.twice += n > 1
            self._bad(f"{'twice' if n else 'lost'}: feedback answered {reply['status']} is "
                      f"{n} times in the log: {message.body}")

    def _found(self, message: Message) -> int:
        """How often a feedback is in the log."""
        kept = self.decisions.get(parse_id(message.body["decision_id"])[1])
        return sum(same_feedback(message.body, f) for f in kept.feedback) if kept else 0

    def _change(self, seq: int, cost: float) -> None:
        self.counts.changes += 1
        log = self._configured.get(seq)
        if log is None or log["origin"] != "weights.set" or log["cost"] != cost:
            self.counts.lost += 1
            self._bad(f"lost: weights.set, cost {cost}, acknowledged as record {seq}; "
                      f"the log has {log}")

    def _absent(self, message: Message) -> None:
        """What was refused whenever it was sent must not be in the log."""
        if len(message.replies) < message.sends:
            return
        if message.routes:
            if all("error" in r for r in message.replies):
                body = message.body
                if self._requests[body.get("request_id", ""), body["prompt_tokens"]]:
                    self._bad(f"refused, yet in the log: {message.body}")
        elif not any(r.get("status") in RECORDED for r in message.replies) and self._found(message):
            self._bad(f"answered {message.replies}, yet in the log: {message.body}")

    def _reread(self) -> None:
        """The whole log once more: what was durable has not changed since."""
        data = DataFile(self.path)
        seq = 0
        for seq, (key, value) in enumerate(data.items("log"), 1):
            crc = int.from_bytes(value[:4], "little")
            if int.from_bytes(key, "big") != seq or crc != self._crc[seq] or \
                    crc != records.crc32c(value[4:]):
                self._bad(f"log: record {seq} changed after it was durable")
        if seq != self.last_seq:
            self._bad(f"log: {seq} records, {self.last_seq} were read before")
        data.close()


def dumped(lines: Iterable[str]) -> list[tuple[bytes, bytes]]:
    """Keys and values of mdb_dump's output."""
    found = [bytes.fromhex(line.strip()) for line in lines if line.startswith(" ")]
    return list(zip(found[::2], found[1::2]))


def dump_differs(path: str, lines: Iterable[str]) -> Optional[str]:
    """Compares the log as mdb_dump gives it with our own reading."""
    theirs = dumped(lines)
    data = DataFile(path)
    ours = list(data.items("log"))
    data.close()
    return None if ours == theirs else f"mdb_dump sees {len(theirs)} records, we see {len(ours)}"
