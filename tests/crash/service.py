# SPDX-License-Identifier: MIT
"""The real purserd as a process: configured, started, killed, asked by its operator's door."""
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Optional

import sp

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ports import free_ports  # noqa: E402

DOORS = ("route", "feedback", "control")
MODELS = [{"name": "small-1", "tier": "small", "usd_per_mtok_in": 0.1, "usd_per_mtok_out": 0.1},
          {"name": "mid-1", "tier": "medium", "usd_per_mtok_in": 0.5, "usd_per_mtok_out": 1.5},
          {"name": "large-1", "tier": "large", "usd_per_mtok_in": 2.5,
           "usd_per_mtok_cached_in": 1.25, "usd_per_mtok_out": 10}]


class Service:
    def __init__(self, program: str, folder: str, snapshot_events: int) -> None:
        self.program, self.folder = program, folder
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "purserd.log")
        self.config = os.path.join(folder, "config.json")
        self.process: Optional[subprocess.Popen] = None
        self.before = None  # called in the process before it becomes the service
        self._ready = threading.Event()
        self._reader: Optional[threading.Thread] = None
        ports = free_ports(len(DOORS))
        self.port = dict(zip(DOORS, ports))
        self.snapshot_events = snapshot_events

    def open_http(self) -> None:
        self.port["http"] = free_ports(1)[0]

    def configure(self, open_decisions: int, limits: Optional[dict] = None, **members: object) -> None:
        listen = {door: f"tcp://127.0.0.1:{self.port[door]}" for door in DOORS}
        http = f"http://127.0.0.1:{self.port['http']}" if "http" in self.port else ""
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump({"v": 1, "listen": {**listen, "events": "", "intake": "",
                                            "http": http, "metrics": ""},
                       "store": {"map_gib": 1, "snapshot_events": self.snapshot_events, "seed": 7},
                       "limits": {"open_decisions": open_decisions, **(limits or {})},
                       "models": MODELS,
                       "silence": [{"quality": 0.5, "after_hours": 0.0001}],  # 0.36 s
                       "learners": [{"tenant": "globex", "shares": False, "borrows": 20}],
                       "budget": {"usd_per_request": 0.001, "expire_after_s": 1},
                       "pools": [{"name": "all", "usd": 1e6, "mode": "quantile"},
                                 {"name": "each", "parent": "all", "each": "tenant", "usd": 1e6,
                                  "window": "rolling", "length_s": 12, "mode": "quantile"}],
                       **members},
                      f, indent=1)

    def start(self) -> None:
        self._ready.clear()
        self.process = subprocess.Popen(
            [self.program, "--config", self.config, "--data", self.data],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=self.before)
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen) -> None:
        with open(self.log, "ab") as log:
            for line in process.stderr:
                log.write(line)
                if b"event=ready" in line:
                    self._ready.set()
        process.stderr.close()

    def wait_ready(self, seconds: float = 60) -> bool:
        """False: it ended instead, or takes too long."""
        until = time.monotonic() + seconds
        while not self._ready.wait(0.005):
            if self.process.poll() is not None or time.monotonic() > until:
                self._reader.join(1)
                return self._ready.is_set() and self.process.poll() is None
        return True

    def _gone(self) -> int:
        code = self.process.wait(60)
        self._reader.join(5)
        self.process = None
        return code

    def kill(self) -> int:
        """kill -9; gives the exit code: -9, unless it had ended by itself."""
        self.process.send_signal(signal.SIGKILL)
        return self._gone()

    def stop(self) -> int:
        self.signal_stop()
        return self._gone()

    def control(self, op: str, **fields: object) -> dict:
        c = sp.Requester(self.port["control"])
        try:
            return json.loads(c.ask(json.dumps({"v": 1, "op": op, **fields}).encode()))
        finally:
            c.close()

    def signal_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def tail(self, lines: int = 8) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def replayed(self) -> tuple[int, int]:
        """Recoveries, and records replayed in them, according to the service's log."""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            found = re.findall(r"event=recovered .*?replayed=(\d+)", f.read())
        return len(found), sum(map(int, found))
