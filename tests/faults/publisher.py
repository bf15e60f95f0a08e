"""``daystone publish`` and ``withdraw`` as a user starts them, in a process that kills itself at a line of the
publication:

python -m tests.faults.publisher LINE VERB ...

With the line 0 it is not killed, and says at its end how many lines of the publication it has executed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import run
from tasks.cli import publish
from tests.unit.targets.days import Killed


def main() -> None:
    killed = Killed(int(sys.argv[1]))
    for name in ("_published", "withdraw"):
        setattr(publish, name, traced(killed, getattr(publish, name)))
    try:
        run.main(sys.argv[2:])
    finally:
        print(f"lines {killed.seen}", file=sys.stderr)


def traced(killed: Killed, function: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*given: Any) -> Any:
        sys.settrace(killed)
        try:
            return function(*given)
        finally:
            sys.settrace(None)

    return counted


if __name__ == "__main__":
    main()
