"""A Java that is none."""

from __future__ import annotations

from pathlib import Path


def install_java(home: Path, version: str) -> Path:
    """A java below ``home`` that only says its version, and fails where more is asked of it."""
    program = home / "jdk" / "bin" / "java"
    program.parent.mkdir(parents=True, exist_ok=True)
    answer = f'openjdk version "{version}" 2025-04-15'
    program.write_text(f"#!/bin/sh\n[ \"$*\" = -version ] || exit 1\necho '{answer}' >&2\n")
    program.chmod(0o755)
    return program
