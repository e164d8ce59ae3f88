# SPDX-License-Identifier: MIT
"""
Clients that do what clients do: route, escalate, report (in parts, amended, with versions, taken back),
repeat what was not answered until it is, and now and then repeat what was answered long ago, send
the same message twice at once, reuse an id for another body, or make an id up. Each client is a
thread with its own connections; a message whose reply was cut off by a kill is sent again to the
next process.
"""
import json
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import sp
from oracle import Message, Oracle
from service import Service

AGAIN = {"overloaded", "unavailable", "storage_full", "throttled"}  # errors that ask for a retry
MESSAGES_MAX = 9  # about one decision: the service takes 12
SOURCES = (None, "judge-1", "user")
RECENT = 400


@dataclass(eq=False)
class Open:
    """A decision that clients may report on."""
    decision_id: str
    body: dict  # of the request
    messages: int = 0


class Stopped(Exception):
    """The run is over."""


class Yard:
    """What the clients share."""

    def __init__(self, oracle: Oracle, service: Service) -> None:
        self.oracle, self.service = oracle, service
        self.up = threading.Event()  # the service takes connections
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.decisions: list[Open] = []
        self.history: list[Message] = []
        self.numbers = 0
        self.backups: deque[tuple[str, Optional[dict]]] = deque()  # where, the answer
        self.life = 0  # changes with each start
        self.last = False  # nobody kills this one: every message must be answered
        self.unanswered: Optional[str] = None
        self.failure: Optional[str] = None

    def number(self) -> int:
        with self.lock:
            self.numbers += 1
            return self.numbers


class Client(threading.Thread):
    def __init__(self, yard: Yard, seed: str) -> None:
        super().__init__(daemon=True)
        self.yard, self.rng = yard, random.Random(seed)
        self.doors: dict[str, sp.Requester] = {}
        self.life = 0  # of the doors

    def run(self) -> None:
        try:
            while True:
                self.act()
        except Stopped:
            pass
        except Exception as e:  # a client that dies silently would make the test weaker
            self.yard.failure = f"client: {type(e).__name__}: {e}"
            raise
        finally:
            self.hang_up()

    def act(self) -> None:
        choice = self.rng.random()
        if choice < 0.33:
            self.exchange([self.new_route()])
        elif choice < 0.38:
            self.feed([self.new_escalation()])
        elif choice < 0.43:
            self.exchange([self.new_route() for _ in range(self.rng.randint(2, 6))])
        elif choice < 0.75:
            self.feed([self.new_feedback()])
        elif choice < 0.80:
            self.feed([self.new_feedback() for _ in range(self.rng.randint(2, 6))])
        elif choice < 0.90:
            self.replay()
        elif choice < 0.93:
            self.feed([self.conflicting()])
        elif choice < 0.96:
            self.feed([self.made_up()])
        else:
            self.twice_at_once()

    # ---- sending

    def hang_up(self, door: Optional[str] = None) -> None:
        for name in [door] if door else list(self.doors):
            connection = self.doors.pop(name, None)
            if connection:
                connection.close()

    def connection(self, door: str) -> sp.Requester:
        while not self.yard.up.wait(0.2):
            if self.yard.over.is_set():
                raise Stopped
        if self.yard.over.is_set():
            raise Stopped
        if self.life != self.yard.life:
            self.hang_up()
            self.life = self.yard.life
        if door not in self.doors:
            self.doors[door] = self.dial(door)
        return self.doors[door]

    def dial(self, door: str) -> sp.Requester:
        return sp.Requester(self.yard.service.port[door])

    def exchange(self, messages: list[Message], hasty: bool = False) -> None:
        """Sends one message, or several of one kind as a batch, until each is answered."""
        door = "route" if messages[0].routes else messages[0].kind
        while messages:
            hung_up = False
            try:
                connection = self.connection(door)
                for m in messages:
                    m.sending()
                number = connection.send(envelope(messages))
                if hasty:  # hang up, send again: the service may have both inside at once
                    hasty, hung_up = False, True
                    raise sp.Broken("hasty")
                reply = json.loads(connection.receive(number))
            except sp.Broken as e:
                self.hang_up(door)
                if self.yard.last and self.life == self.yard.life and not hung_up:
                    self.yard.unanswered = f"{door}: {e}, nobody killed it: {messages[0].body}"
                continue
            messages = self.distribute(messages, reply)

    def distribute(self, messages: list[Message], reply: dict) -> list[Message]:
        """Hands the answers out; gives the messages that must be sent again."""
        if "items" in reply:
            replies = reply["items"]
        else:
            replies = [reply] * len(messages)
        if len(replies) != len(messages):
            raise AssertionError(f"{len(replies)} answers to {len(messages)} items")
        left = []
        for m, r in zip(messages, replies):
            if r.get("error", {}).get("code") in AGAIN:
                left.append(m)
                continue
            self.yard.oracle.answered(m, r)
            if "decision_id" in r and m.routes:
                self.yard.decisions.append(Open(r["decision_id"], m.body))
        if left:
            time.sleep(0.005)
        return left

    def feed(self, messages: list[Optional[Message]]) -> None:
        found = [m for m in messages if m]
        if found:
            self.exchange(found)

    # ---- messages

    def known(self, kind: str, body: dict) -> Message:
        message = self.yard.oracle.sent(Message(kind, body))
        self.yard.history.append(message)
        return message

    def new_route(self) -> Message:
        n = self.yard.number()
        body = {"tenant": self.rng.choice(("acme", "globex")), "prompt_tokens": n,
                "task": self.rng.choice(("chat", "code", "contract")),
                "prompt": self.rng.choice(("write a test", "is this clause void?", "hello"))}
        if self.rng.random() < 0.95:
            body["request_id"] = f"r-{n}"
        if self.rng.random() < 0.2:
            body["max_output_tokens"] = 500
        if self.rng.random() < 0.4:
            body["group"] = self.rng.choice(("free", "paid"))
        if self.rng.random() < 0.3:
            body["value"] = self.rng.choice((0.5, 3, 5))
        return self.known("route", body)

    def new_escalation(self) -> Optional[Message]:
        """The same request again, found wanting; now and then of one that was escalated before."""
        known = self.yard.decisions
        if not known:
            return None
        old = self.rng.random() < 0.25
        found = known[self.rng.randrange(0 if old else max(0, len(known) - RECENT), len(known))]
        n = self.yard.number()
        return self.known("escalate", {**found.body, "decision_id": found.decision_id,
                                       "request_id": f"e-{n}", "prompt_tokens": n})

    def some_decision(self) -> Optional[Open]:
        """Mostly one in the service's memory, sometimes one that it must recall."""
        known = self.yard.decisions
        if not known:
            return None
        old = self.rng.random() < 0.25
        found = known[self.rng.randrange(0 if old else max(0, len(known) - RECENT), len(known))]
        with self.yard.lock:
            if found.messages >= MESSAGES_MAX:
                return None
            found.messages += 1
        return found

    def new_feedback(self) -> Optional[Message]:
        decision = self.some_decision()
        if decision is None:
            return None
        body: dict = {"decision_id": decision.decision_id}
        n, source = self.yard.number(), self.rng.choice(SOURCES)
        if source:
            body["source"] = source
        if self.rng.random() < 0.8:
            body["feedback_id"] = f"f-{n}"
        if self.rng.random() < 0.3:
            body["version"] = self.rng.randint(0, 5)
        if self.rng.random() < 0.08:
            body["retract"] = True
            if "feedback_id" not in body:  # a repeated retraction would be no new message
                body["feedback_id"] = f"f-{n}"
            return self.known("feedback", body)
        self.describe(body)
        return self.known("feedback", body)

    def describe(self, body: dict) -> None:
        """Part of the outcome; with enough digits that no two messages are equal by chance."""
        rng = self.rng
        body["latency_ms"] = rng.random() * 3000
        if rng.random() < 0.5:
            body["quality"] = rng.random()
        elif rng.random() < 0.3:
            body["accepted"] = rng.random() < 0.7
        if rng.random() < 0.5:
            body["output_tokens"] = rng.randint(0, 900)
            if rng.random() < 0.3:
                body["reasoning_tokens"] = rng.randint(0, body["output_tokens"])
        if rng.random() < 0.2:
            body["cost_usd"] = rng.randint(0, 10**7) / 10**9
        if rng.random() < 0.1:
            body["prompt_tokens"], body["cached_tokens"] = 400, rng.randint(0, 400)
        if rng.random() < 0.1:
            body["failed"] = rng.random() < 0.5

    def conflicting(self) -> Optional[Message]:
        """An id that was used before, with another body."""
        old = self.pick(lambda m: m.replies and ("feedback_id" in m.body or "request_id" in m.body))
        if old is None:
            return None
        if old.routes:
            body = {**old.body, "prompt_tokens": self.yard.number()}
            return self.yard.oracle.sent(Message(old.kind, body))
        body = {k: old.body[k] for k in ("decision_id", "feedback_id", "source") if k in old.body}
        body["quality"] = self.rng.random()
        return self.yard.oracle.sent(Message("feedback", body))

    def made_up(self) -> Optional[Message]:
        """A decision id nobody was given, or a value out of range."""
        decision = self.some_decision()
        if decision is None:
            return None
        epoch, seq, mac = decision.decision_id.split("-")
        body = {"decision_id": decision.decision_id, "quality": self.rng.random()}
        kind = self.rng.randrange(3)
        if kind == 0:
            body["decision_id"] = f"{epoch}-{seq}-{int(mac, 16) ^ 1 << self.rng.randrange(64):016x}"
        elif kind == 1:
            body["decision_id"] = f"{epoch}-{int(seq, 16) + 1:x}-{mac}"
        else:
            body["quality"] = 1.5
        return self.yard.oracle.sent(Message("feedback", body))

    def pick(self, wanted: Callable[[Message], bool]) -> Optional[Message]:
        history = self.yard.history
        for _ in range(8 if history else 0):
            recent = self.rng.random() < 0.5
            first = max(0, len(history) - RECENT) if recent else 0
            found = history[self.rng.randrange(first, len(history))]
            if wanted(found):
                return found
        return None

    def replay(self) -> None:
        old = self.pick(lambda m: True)
        if old:
            self.exchange([old])

    def twice_at_once(self) -> None:
        message = self.new_route() if self.rng.random() < 0.5 else self.new_feedback()
        if message:
            self.exchange([message], hasty=True)


def envelope(messages: list[Message]) -> bytes:
    kind = messages[0].kind
    if len(messages) == 1:
        return json.dumps({"v": 1, "op": kind, **messages[0].body}).encode()
    return json.dumps({"v": 1, "op": f"{kind}_many", "items": [m.body for m in messages]}).encode()


class Watcher(threading.Thread):
    """The operator: asks for the counters all the time (what it is told must be in the log after a
    kill), and now and then changes a weight or takes a backup."""

    def __init__(self, yard: Yard, seed: str) -> None:
        super().__init__(daemon=True)
        self.yard, self.rng = yard, random.Random(seed)

    def run(self) -> None:
        while not self.yard.over.is_set():
            if not self.yard.up.wait(0.2):
                continue
            try:
                choice = self.rng.random()
                if choice < 0.1:
                    self.change()
                elif choice < 0.13:
                    self.backup()
                self.yard.oracle.reported(self.yard.service.control("stats"))
            except sp.Broken:
                pass
            time.sleep(0.015)

    def change(self) -> None:
        cost = self.rng.randint(1, 1000) / 8192
        reply = self.yard.service.control("weights.set", weights={"cost": cost}, reason="test")
        self.yard.oracle.changed(reply["config_seq"], cost)

    def backup(self) -> None:
        to = os.path.join(self.yard.service.folder, f"backup-{self.yard.number()}")
        answer = None  # of a backup that a kill cut off
        try:
            answer = self.yard.service.control("backup", to=to)
        finally:
            self.yard.backups.append((to, answer))
