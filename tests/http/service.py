# SPDX-License-Identifier: MIT
"""A purserd of one's own with every door open, and clients of two of them: HTTP by Python's
http.client or raw sockets, NNG by tests/crash/sp.py."""
import atexit
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "crash"))
import sp  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from ports import free_ports  # noqa: E402

DOORS = ("route", "feedback", "control", "http", "metrics")
MODELS = [{"name": "small-1", "tier": "small", "usd_per_mtok_in": 0.1, "usd_per_mtok_out": 0.1},
          {"name": "mid-1", "tier": "medium", "usd_per_mtok_in": 0.5, "usd_per_mtok_out": 1.5},
          {"name": "large-1", "tier": "large", "usd_per_mtok_in": 2.5, "usd_per_mtok_out": 10}]
JSON = {"Content-Type": "application/json"}


class Service:
    running = []  # of tests that failed half-way, for run to end

    def __init__(self, build, http=None, **members):
        self.folder = tempfile.mkdtemp(prefix="purser-http-")
        self.port = dict(zip(DOORS, free_ports(len(DOORS))))
        self.unix = os.path.join(self.folder, "http.sock")
        listen = {d: f"tcp://127.0.0.1:{self.port[d]}" for d in DOORS[:3]}
        listen.update({d: f"http://127.0.0.1:{self.port[d]}" for d in DOORS[3:]})
        listen.update(events="", intake="", http_unix=f"unix://{self.unix}")
        config = {"v": 1, "listen": listen, "store": {"map_gib": 1, "seed": 5}, "models": MODELS,
                  "http": http or {}, **members}
        path = os.path.join(self.folder, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [os.path.join(build, "purserd"), "--config", path, "--data",
                 os.path.join(self.folder, "data")], stderr=log)
        self.nng = {}
        Service.running.append(self)
        self.wait()

    @classmethod
    def end_all(cls):
        for s in cls.running:
            if s.process.poll() is None:
                s.process.kill()

    def wait(self):
        for _ in range(2000):
            if "event=ready" in self.said() or '"event":"ready"' in self.said():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        sys.exit("the service did not start:\n" + self.said())

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def connect(self, door="http"):
        return http.client.HTTPConnection("127.0.0.1", self.port[door], timeout=20)

    def raw(self, door="http"):
        s = socket.create_connection(("127.0.0.1", self.port[door]), 20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def ask(self, method, path, body=None, headers=None, door="http"):
        """(status, headers, bytes) over a connection of its own."""
        c = self.connect(door)
        try:
            if body is not None and headers is None:
                headers = JSON
            if isinstance(body, dict):
                body = json.dumps(body)
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def get(self, path, door="http"):
        status, _, body = self.ask("GET", path, door=door)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def post(self, path, body):
        status, _, answer = self.ask("POST", path, body)
        assert status == 200, (path, status, answer)
        return json.loads(answer)

    def over_nng(self, door, body):
        if door not in self.nng:
            self.nng[door] = sp.Requester(self.port[door], 20)
        return self.nng[door].ask(body)

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def stop(self):
        for c in self.nng.values():
            c.close()
        self.nng = {}
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        Service.running.remove(self)
        said = self.said()
        shutil.rmtree(self.folder, ignore_errors=True)
        return code, said


atexit.register(Service.end_all)  # none outlives its test
