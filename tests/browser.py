"""A headless Chromium with a keyboard, sizes of screen and pictures; tests skip where there is none."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from rnnzoo.system import chromium

CHROMIUM = chromium.find()
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


class Browser(chromium.Chromium):
    """One page."""

    def __init__(self) -> None:
        super().__init__(str(CHROMIUM))

    def open(self, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Show a page, and wait until it is loaded."""
        media = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=media)
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.show(path)

    def press(self, key: str) -> None:
        """A key, as "Tab" or "Enter"."""
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        code = {"Enter": 13, "Tab": 9, "ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "End": 35, "Home": 36}
        for kind in ("keyDown", "keyUp"):
            extra = text if kind == "keyDown" else {}
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code.get(key, 0), **extra
            )

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))
