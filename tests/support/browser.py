"""A real browser without a window. It shows pages of tests as DOM, pixels or paper, and reaches no network."""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE

#: The sandbox is off: it does not work for root or without user namespaces, and the pages are our own.
_FLAGS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
DARK = "--blink-settings=preferredColorScheme=0"


@dataclass(frozen=True)
class Browser:
    """A browser by its path."""

    program: str

    def dom(self, page: Path, *flags: str) -> str:
        """The page as HTML, once it has loaded. Whatever it writes to the console fails the test."""
        return self._run(page, "--dump-dom", *flags)

    def pixels(self, page: Path, width: int, height: int, *flags: str) -> np.ndarray:
        """What a window shows, uint8 [height, width, 3]."""
        shot = page.with_suffix(".png")
        self._run(page, f"--screenshot={shot}", f"--window-size={width},{height}", *flags)
        return decoded(shot.read_bytes())

    def paper(self, page: Path, *flags: str) -> bytes:
        """The page printed, as PDF."""
        printed = page.with_suffix(".pdf")
        self._run(page, f"--print-to-pdf={printed}", "--no-pdf-header-footer", *flags)
        return printed.read_bytes()

    def _run(self, page: Path, *flags: str) -> str:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            result = subprocess.run(
                [self.program, *_FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        assert result.returncode == 0, result.stderr
        assert "CONSOLE" not in result.stderr, result.stderr
        return result.stdout


def find() -> Browser:
    """The browser of the machine, or Debian's, which is installed first."""
    result = subprocess.run(
        ["sh", str(ROOT / "scripts" / "chromium.sh")], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert result.returncode == 0, result.stderr
    return Browser(result.stdout.splitlines()[-1])


def decoded(png: bytes) -> np.ndarray:
    """The pixels of a PNG of eight bits a channel, RGB or RGBA and not interlaced, uint8 [height, width, 3]."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", png[16:29])
    assert (depth, interlaced) == (8, 0) and colour in (2, 6), (depth, colour, interlaced)
    channels = 3 if colour == 2 else 4
    chunks, at = [], 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            chunks.append(png[at + 8 : at + 8 + size])
        at += size + 12
    lines = np.frombuffer(zlib.decompress(b"".join(chunks)), np.uint8).reshape(height, 1 + width * channels)
    found = np.zeros((height, width, channels), np.uint8)
    above = np.zeros((width, channels), np.uint8)
    for number, line in enumerate(lines):
        above = found[number] = _unfiltered(line[0], line[1:].reshape(width, channels), above)
    return found[:, :, :3]


def _unfiltered(kind: int, line: np.ndarray, above: np.ndarray) -> np.ndarray:
    """A row of a PNG from its filter and the row above (ISO/IEC 15948, 9.2)."""
    if kind == 0:
        return line
    if kind == 1:
        return np.cumsum(line, axis=0, dtype=np.uint8)
    if kind == 2:
        return line + above
    left, upper_left, row = [0] * line.shape[1], [0] * line.shape[1], []
    for pixel, upper in zip(line.tolist(), above.tolist(), strict=True):
        predicted = [(a + b) // 2 for a, b in zip(left, upper, strict=True)]
        if kind == 4:
            predicted = [
                min((a, b, c), key=lambda near, p=a + b - c: abs(p - near))  # type: ignore[misc]  # a lambda's default has no type
                for a, b, c in zip(left, upper, upper_left, strict=True)
            ]
        left, upper_left = [(a + b) % 256 for a, b in zip(pixel, predicted, strict=True)], upper
        row.append(left)
    return np.array(row, np.uint8)


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def drawn(pdf: bytes) -> bytes:
    """The drawing commands of the pages, unpacked."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(stream))
        except zlib.error:
            continue  # not packed, or a font
    return b"\n".join(found)
