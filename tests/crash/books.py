# SPDX-License-Identifier: MIT
"""
What the log's records amount to, recomputed in Python: labels per decision from all messages about
it, and the sums per model that the service reports. Written from the rules (the highest version of
each field and source wins, sources are averaged, a failed call has no quality, silence speaks when
nobody else does), not translated from the service's tables; counts and money must come out exactly
equal, sums of qualities bit for bit before rounding, since both add in the order of the log.
"""
from dataclasses import dataclass, field
from typing import Optional

import records
from records import CELLS, Decided, Feedback

SEEN_MAX, SOURCES_MAX = 16, 4
# Reserved sources: their labels count while no other source has one, and take nobody's place.
ESCALATION, SILENCE = "escalation", "silence"
RESERVED = (ESCALATION, SILENCE)  # the first in rank first
TARGET_NAMES = ("quality", "tokens", "latency", "failure")


@dataclass
class Cell:
    version: int
    value: float
    present: bool


@dataclass
class Credit:
    """What a book says of a decision: which targets, the quality, the cost."""
    applied: int = 0
    quality: float = 0.0
    cost_nano: Optional[int] = None


def _value(f: Feedback, cell: int) -> float:
    return (f.quality, float(f.prompt_tokens), float(f.cached_tokens), float(f.output_tokens),
            float(f.cost_nano), f.latency_ms, float(f.failed), float(f.reasoning_tokens))[cell]


@dataclass
class Book:
    """All that was said of one decision."""
    sources: dict[str, list[Optional[Cell]]] = field(default_factory=dict)
    seen: set[object] = field(default_factory=set)
    credit: Credit = field(default_factory=Credit)

    def take(self, f: Feedback) -> Optional[str]:
        """Adds a message; tells what is wrong with its being in the log."""
        identity: object = f.feedback_id or f.digest
        if identity in self.seen:
            return f"feedback {f.feedback_id or '(by content)'} twice"
        if f.source == SILENCE and (self.silent() or self.average(records.QUALITY) is not None
                                    or (self.average(records.FAILED) or 0.0) >= 0.5):
            return "silence where somebody has spoken"
        if f.source == ESCALATION and self.escalated():
            return "escalated twice"
        self.seen.add(identity)
        if len(self.seen) - self.silent() - self.escalated() > SEEN_MAX:
            return f"more than {SEEN_MAX} messages"
        cells = self.sources.setdefault(f.source, [None] * CELLS)
        if len(self.sources) - self.silent() - self.escalated() > SOURCES_MAX:
            return f"more than {SOURCES_MAX} sources"
        return None if self._write(cells, f) else "a message that changes nothing"

    def silent(self) -> bool:
        """Whether it was labelled because nobody else had done so in time."""
        return SILENCE in self.sources

    def escalated(self) -> bool:
        """Whether its answer was found wanting and asked for again."""
        return ESCALATION in self.sources

    @staticmethod
    def _write(cells: list[Optional[Cell]], f: Feedback) -> bool:
        version = f.version
        if version < 0:
            version = max((c.version for c in cells if c), default=-1) + 1
        fields = (1 << CELLS) - 1 if f.retract and not f.has else f.has
        won = False
        for i in range(CELLS):
            held = cells[i]
            if fields >> i & 1 and (held is None or version > held.version):
                cells[i] = Cell(version, 0.0 if f.retract else _value(f, i), not f.retract)
                won = True
        return won

    def average(self, bit: int) -> Optional[float]:
        i = bit.bit_length() - 1
        held = [(name, c[i].value) for name, c in self.sources.items() if c[i] and c[i].present]
        values = [v for name, v in held if name not in RESERVED]
        for reserved in RESERVED:
            values = values or [v for name, v in held if name == reserved]
        total = 0.0  # not sum(): from Python 3.12 on it compensates, the service does not
        for v in sorted(values):  # whatever the order of the sources
            total += v
        return total / len(values) if values else None

    def reckon(self, d: Decided) -> Credit:
        out = Credit()
        quality, failed = self.average(records.QUALITY), self.average(records.FAILED)
        tokens, cost = self.average(records.OUTPUT_TOKENS), self.average(records.COST)
        latency, thought = self.average(records.LATENCY), self.average(records.REASONING) or 0.0
        given, cached = self.average(records.PROMPT_TOKENS), self.average(records.CACHED_TOKENS)
        given = float(d.prompt_tokens) if given is None else given
        cached = float(d.cached_tokens) if cached is None else cached
        paid_in = float(d.price_in) * max(given - cached, 0.0) + float(d.price_cached) * cached
        if tokens is None and cost is not None and d.price_out > 0:
            tokens = max((cost * 1000 - paid_in) / float(d.price_out), 0.0)
        if cost is not None:
            out.cost_nano = int(cost + 0.5)
        elif tokens is not None:
            apart = float(d.price_reasoning - d.price_out) * min(thought, tokens)
            out.cost_nano = int((paid_in + float(d.price_out) * tokens + apart) / 1000 + 0.5)
        failure = failed or 0.0
        has = (quality is not None and failure < 0.5, tokens is not None and failure < 0.5,
               latency is not None,
               any(v is not None for v in (failed, quality, tokens, cost, latency)))
        out.applied = sum(1 << i for i, h in enumerate(has) if h)
        out.quality = quality if has[0] and quality is not None else 0.0
        return out


@dataclass
class Model:
    decisions: int = 0
    feedbacks: int = 0
    spent_nano: int = 0
    quality_sum: float = 0.0
    labels: list[int] = field(default_factory=lambda: [0] * records.TARGETS)


@dataclass
class Sums:
    """The service's counters, from the log alone."""
    decisions: int = 0
    feedbacks: int = 0
    baseline_nano: int = 0
    first: int = 0  # decisions, in order, up to this one have left memory
    max_open: int = 1
    models: dict[int, Model] = field(default_factory=dict)
    own: dict[tuple[int, int], int] = field(default_factory=dict)  # (learner, slot): its labels

    def started(self, max_open: int) -> None:
        self.max_open = max_open
        self._evict()

    def _evict(self) -> None:
        self.first = max(self.first, self.decisions - self.max_open)

    def decided(self, d: Decided) -> None:
        self.decisions += 1
        self._evict()
        self.baseline_nano += 0 if d.attempt_from else d.baseline_nano
        model = self.models.setdefault(d.arm, Model())
        model.decisions += 1
        model.spent_nano += d.booked_nano

    def credited(self, d: Decided, book: Book) -> None:
        """A message was added to the book: brings the sums in line."""
        before, after = book.credit, book.reckon(d)
        model = self.models[d.arm]
        self.feedbacks += 1
        model.feedbacks += 1
        for t in range(records.TARGETS):
            model.labels[t] += (after.applied >> t & 1) - (before.applied >> t & 1)
        own = d.learner, d.arm
        self.own[own] = self.own.get(own, 0) + (after.applied & 1) - (before.applied & 1)
        model.quality_sum += after.quality - before.quality
        cost_before = d.booked_nano if before.cost_nano is None else before.cost_nano
        cost_after = d.booked_nano if after.cost_nano is None else after.cost_nano
        model.spent_nano += cost_after - cost_before
        book.credit = after

    def differences(self, stats: dict, names: list[str]) -> list[str]:
        """Where the service's answer to `stats` says something else."""
        pairs = [("decisions", stats["decisions"], self.decisions),
                 ("feedbacks", stats["feedbacks"], self.feedbacks),
                 ("open", stats["open"], self.decisions - self.first),
                 ("baseline", nano(stats["baseline_usd"]), self.baseline_nano),
                 ("spent", nano(stats["spent_usd"]),
                  sum(m.spent_nano for m in self.models.values()))]
        if [m["model"] for m in stats["models"]] != names:
            return [f"models {[m['model'] for m in stats['models']]}, configured {names}"]
        for slot, theirs in enumerate(stats["models"]):
            ours, name = self.models.get(slot, Model()), theirs["model"]
            pairs += [(f"{name} decisions", theirs["decisions"], ours.decisions),
                      (f"{name} feedbacks", theirs["feedbacks"], ours.feedbacks),
                      (f"{name} spent", nano(theirs["spent_usd"]), ours.spent_nano)]
            pairs += [(f"{name} labels of {t}", theirs["labels"][t], n)
                      for t, n in zip(TARGET_NAMES, ours.labels)]
            if ours.labels[0]:
                mean = ours.quality_sum / ours.labels[0]
                said = theirs["quality_observed"]
                ok = said is not None and abs(said - mean) <= 6e-6 * max(1e-3, mean)  # 6 digits
                pairs.append((f"{name} quality", said if not ok else 0, mean if not ok else 0))
        for index, learner in enumerate(stats["learners"], 1):
            pairs += [(f"{learner['tenant']}'s {m['model']} labels", m["quality_labels"],
                       self.own.get((index, slot), 0))
                      for slot, m in enumerate(learner["models"])]
        return [f"{what}: service {a}, log {b}" for what, a, b in pairs if a != b]


def nano(usd: float) -> int:
    return round(usd * 1e9)
