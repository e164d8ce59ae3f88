# SPDX-License-Identifier: MIT
"""A headless Chromium, driven by the DevTools protocol over a pipe (--remote-debugging-pipe): JSON
messages with a zero byte after each, on descriptors 3 and 4. No driver program, no port."""
import base64
import collections
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"]


def find():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Failed(Exception):
    """The browser said no, or nothing."""


class Browser:
    def __init__(self, timeout=30):
        self.timeout, self.number, self.bytes = timeout, 0, b""
        self.events = collections.deque()
        self.folder = tempfile.mkdtemp(prefix="purser-page-")
        down_read, self.down = os.pipe()
        self.up, up_write = os.pipe()
        command = ["sh", "-c", f'exec "$0" "$@" 3<&{down_read} 4>&{up_write}', find()]
        self.process = subprocess.Popen(
            [*command, *FLAGS, f"--user-data-dir={self.folder}"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(down_read, up_write),
            start_new_session=True)
        os.close(down_read)
        os.close(up_write)
        target = self.call("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
        self.session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True},
                                 session=None)["sessionId"]
        self.requests, self.faults = [], []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def read(self, seconds):
        """One message, None after so many seconds."""
        end = time.monotonic() + seconds
        while b"\0" not in self.bytes:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.up], [], [], left)[0]:
                return None
            some = os.read(self.up, 1 << 20)
            if not some:
                raise Failed("the browser has ended")
            self.bytes += some
        one, self.bytes = self.bytes.split(b"\0", 1)
        return json.loads(one)

    def note(self, message):
        """What happened meanwhile: requests that left, errors on the console."""
        method, p = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(p["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            d = p["exceptionDetails"]
            self.faults.append(d.get("exception", {}).get("description") or d["text"])
        elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.faults.append(" ".join(str(a.get("value", a.get("description"))) for a in p["args"]))
        elif method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.faults.append(f"{p['entry']['text']} {p['entry'].get('url', '')}")
        elif method:
            self.events.append(message)

    def call(self, method, params=None, session=""):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params or {}}
        if session is not None:
            message["sessionId"] = self.session
        os.write(self.down, json.dumps(message).encode() + b"\0")
        while True:
            got = self.read(self.timeout)
            if got is None:
                raise Failed(f"{method}: no answer")
            if got.get("id") == self.number:
                if "error" in got:
                    raise Failed(f"{method}: {got['error']}")
                return got["result"]
            self.note(got)

    def pump(self, seconds):
        """Lets time pass and takes what is said meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            got = self.read(left)
            if got:
                self.note(got)

    def do(self, expression):
        """The value of an expression in the page, promises awaited."""
        r = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True,
                                           "awaitPromise": True})
        if "exceptionDetails" in r:
            raise Failed(f"{expression}: {r['exceptionDetails']}")
        return r["result"].get("value")

    def until(self, expression, what, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.do(f"(v => v instanceof Node || v)({expression})")  # a node has no JSON
            if value:
                return value
            self.pump(0.05)
        raise Failed(f"{what}: not in {seconds} s: {self.do('document.body.innerText')}")

    def look(self, width, height, dark=False, phone=False):
        self.call("Emulation.setDeviceMetricsOverride",
                  {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone})
        self.call("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def go(self, url):
        self.call("Page.navigate", {"url": url})

    def press(self, key, code=None, text=None, modifiers=0):
        """A key on the keyboard."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowRight": 39, "ArrowLeft": 37}
        p = {"key": key, "code": code or key, "windowsVirtualKeyCode": codes.get(key, 0), "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", {"type": "keyDown", **p, **({"text": text} if text else {})})
        self.call("Input.dispatchKeyEvent", {"type": "keyUp", **p})

    def type(self, text):
        self.call("Input.insertText", {"text": text})

    def shot(self, path, whole=True):
        data = self.call("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole,
                                                    "fromSurface": True})["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def close(self):
        if self.process.poll() is None:
            try:
                self.call("Browser.close", session=None)
                self.process.wait(10)
            except (Failed, OSError, subprocess.TimeoutExpired):
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session: helpers that are left
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.up)
        os.close(self.down)
        shutil.rmtree(self.folder, ignore_errors=True)
