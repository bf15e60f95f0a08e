"""Counts what a service does, in the text format that Prometheus reads (version 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time

from spark_lib.rest.current import Slot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: The upper bounds of the classes of a latency, in seconds.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts of one service. They are changed on the thread of its event loop alone."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._latencies: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self.rows = 0
        self.unseen: Counter[str] = Counter()

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests[route, status] += 1
        self._latencies.setdefault(route, [0] * (len(BOUNDS) + 1))[bisect_left(BOUNDS, seconds)] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def scored(self, rows: int, unseen: Mapping[str, int]) -> None:
        """Count rows that were scored, and how many had a category that training did not see."""
        self.rows += rows
        if unseen:
            self.unseen.update(unseen)

    def text(self, slot: Slot) -> str:
        """All counts, and which model answers."""
        return "\n".join(self._lines(slot)) + "\n"

    def _lines(self, slot: Slot) -> Iterator[str]:
        yield from _head("daystone_requests_total", "counter", "Requests by route and status.")
        for (route, status), count in sorted(self._requests.items()):
            yield f"daystone_requests_total{_labels(route=route, status=str(status))} {count}"
        name = "daystone_request_seconds"
        yield from _head(name, "histogram", "Seconds from the head of a request to the end of its answer.")
        for route, classes in sorted(self._latencies.items()):
            below = 0
            for bound, count in zip((*BOUNDS, "+Inf"), classes, strict=True):
                below += count
                yield f"{name}_bucket{_labels(route=route, le=str(bound))} {below}"
            yield f"{name}_sum{_labels(route=route)} {self._seconds[route]}"
            yield f"{name}_count{_labels(route=route)} {below}"
        yield from _head("daystone_rows_scored_total", "counter", "Rows that were scored.")
        yield f"daystone_rows_scored_total {self.rows}"
        yield from _head(
            "daystone_unseen_categories_total", "counter", "Rows with a text that training did not see, by feature."
        )
        for feature, count in sorted(self.unseen.items()):
            yield f"daystone_unseen_categories_total{_labels(feature=feature)} {count}"
        yield from _head("daystone_refresh_failures_total", "counter", "Looks for a newer model that failed.")
        yield f"daystone_refresh_failures_total {slot.failures}"
        current = slot.current
        if current is not None:
            yield from _head("daystone_model_info", "gauge", "The model that answers.")
            yield f"daystone_model_info{_labels(**current.identity)} 1"
            for name, day, words in (
                ("daystone_model_date_seconds", current.model_date, "The date of the model that answers."),
                ("daystone_released_date_seconds", current.released, "The newest released day."),
            ):
                if day is None:
                    continue
                yield from _head(name, "gauge", f"{words} Midnight in UTC, in seconds of the epoch.")
                yield f"{name} {int(datetime.combine(day, time.min, UTC).timestamp())}"


def _head(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"


def _labels(**values: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
