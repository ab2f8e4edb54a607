"""A headless Chromium driven through its debugging pipe: no driver, no package, no network."""

import itertools
import json
import os
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60


def chromium():
    """Return the path of a Chromium on this machine, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of a Chromium; `events` holds all that it said, in order."""

    def __init__(self, folder):
        # Chromium reads commands from file 3 and writes what it says to file 4
        theirs_in, self.input = os.pipe()
        self.output, theirs_out = os.pipe()
        options = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-extensions"
        options += " --hide-scrollbars --disable-background-networking --disable-dev-shm-usage"
        command = f'exec "$0" {options} --remote-debugging-pipe "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, chromium(), f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.numbers, self.events, self.rest, self.session = itertools.count(1), [], b"", None
        target = next(
            each for each in self("Target.getTargets")["targetInfos"] if each["type"] == "page"
        )
        attached = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method, **parameters):
        """Call a method of the DevTools protocol; return what it answers."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.input, json.dumps(message).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    def _next(self):
        while b"\0" not in self.rest:
            found = os.read(self.output, 1 << 16)
            assert found, "Chromium ended"
            self.rest += found
        line, self.rest = self.rest.split(b"\0", 1)
        said = json.loads(line)
        if "method" in said:
            self.events.append(said)
        return said

    def open(self, address, width=1280, height=900, dark=False):
        """Open an address in a window of a size; wait until it is loaded."""
        mobile = {"deviceScaleFactor": 1, "mobile": width < 600}
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, **mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self("Page.navigate", url=address)
        until = time.monotonic() + SECONDS
        while not any(each["method"] == "Page.loadEventFired" for each in self.events):
            assert time.monotonic() < until, "the page did not load"
            self._next()

    def value(self, expression):
        """Return the value of a JavaScript expression."""
        answer = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key, code, text=""):
        """Press a key on what has the focus."""
        known = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self("Input.dispatchKeyEvent", type="keyDown", text=text, **known)
        self("Input.dispatchKeyEvent", type="keyUp", **known)

    def click(self, selector):
        """Click with the mouse on the middle of an element."""
        x, y = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', inline: 'center'});"
            " const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def close(self):
        self.session = None
        self("Browser.close")
        os.close(self.input)
        os.close(self.output)
        self.process.wait(timeout=SECONDS)
