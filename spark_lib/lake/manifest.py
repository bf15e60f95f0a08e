"""The manifest: one JSON object that says what a partition is. A partition exists when its manifest does."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from typing import Any

from spark_lib.errors import DamagedPartition, later_format

#: Raise this number only where a reader of the format before would go wrong. A reader ignores fields that it does not
#: know. A manifest has the least format that says what it says: only one with a section of other columns has the second.
FORMAT = 2
_FORMAT_OF_ONE_SCHEMA = 1
NAME = "_SUCCESS"
#: The dataset and the date of a path in a lake. A dataset of a feed has the name of the feed behind its own.
_DAY = re.compile(r"/((?:clean/)?[^/]+)/date=(\d{4}-\d{2}-\d{2})/")

#: Column names with their Spark SQL types, in order.
Schema = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class File:
    """A file of a run: its ``path`` relative to the partition, its ``size`` in bytes, and its ``rows`` by its footer
    (None for a document). ``etag`` is that of a document, where the store's listings have one that depends on the
    content. ``footer`` is the checksum of a Parquet file's footer."""

    path: str
    size: int
    checksum: str
    rows: int | None = None
    section: str = ""
    etag: str = ""
    footer: str = ""


#: The figure of a manifest that says how many of its rows were computed from all raw days, and not from a snapshot.
ROWS_FROM_RAW = "rows_from_raw"


@dataclass(frozen=True)
class Input:
    """What a run was built from: a dataset or a feed over days, and the identity of each day. That is a run id of the
    lake, or the identity of a raw day. ``digests`` are those of the runs' rows, empty for one whose manifest has none;
    raw days, older manifests, and runs none of which has a digest have no digests at all."""

    name: str
    first: date
    last: date
    ids: tuple[str, ...]
    digests: tuple[str, ...] = ()

    def until(self, last: date) -> Input:
        """The days up to ``last``, which is one of them."""
        count = (last - self.first).days + 1
        return replace(self, last=last, ids=self.ids[:count], digests=self.digests[:count])


@dataclass(frozen=True)
class Manifest:
    run: str
    stage: str
    files: tuple[File, ...]
    #: The groups of files that a run of rows has, also those without a row. Documents have none.
    sections: tuple[str, ...] = ()
    schema: Schema = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    #: What two runs of the same rows have in common, in whatever order and files their rows are. Empty: unknown.
    digest: str = ""
    #: The columns of the sections that have others than ``schema`` says.
    schemas: Mapping[str, Schema] = field(default_factory=dict)

    def schema_of(self, section: str) -> Schema:
        """The columns of a section."""
        return self.schemas.get(section, self.schema)

    def rows(self, section: str | None = None) -> int:
        """Rows of one section, or of all."""
        return sum(file.rows or 0 for file in self.files if section in (None, file.section))

    def same_work(self, other: Manifest) -> bool:
        """Whether both runs were built from the same inputs, settings and code."""
        return _work(self) == _work(other)

    def to_json(self) -> bytes:
        """The manifest as JSON. Raises ValueError for a NaN or an infinity among settings or metrics, which JSON cannot
        hold."""
        document = asdict(self)
        document["inputs"] = [{**asdict(i), "first": str(i.first), "last": str(i.last)} for i in self.inputs]
        if not self.schemas:
            del document["schemas"]
        known = FORMAT if self.schemas else _FORMAT_OF_ONE_SCHEMA
        document |= {"format": known, "schema_hash": schema_hash(self.schema)}
        return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def parse(body: bytes, where: str) -> Manifest:
    """The manifest in ``body``, without the fields that this version does not know. Raises DamagedPartition, naming
    ``where``, for a body that is not a manifest, and LakeError for one of a later format."""
    try:
        document = json.loads(body)
        found = document["format"]
        if found > FORMAT:
            raise later_format(where, "a manifest", FORMAT, found)
        if document["schema_hash"] != schema_hash(document["schema"]):
            raise ValueError("the schema does not match its hash")
        known = _known(Manifest, document)
        return Manifest(
            **known
            | {
                "files": tuple(File(**_known(File, file)) for file in document["files"]),
                "sections": tuple(document["sections"]),
                "schema": _schema(document["schema"]),
                "schemas": {name: _schema(found) for name, found in document.get("schemas", {}).items()},
                "inputs": tuple(
                    Input(
                        i["name"],
                        date.fromisoformat(i["first"]),
                        date.fromisoformat(i["last"]),
                        tuple(map(sys.intern, i["ids"])),
                        tuple(map(sys.intern, i.get("digests", ()))),
                    )
                    for i in document["inputs"]
                ),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedPartition(
            where,
            "a manifest",
            f"{type(error).__name__}: {error}",
            f"find out what wrote it, then build the day anew ({to_rebuild(where)})",
        ) from error


def to_rebuild(where: str) -> str:
    """The command that rebuilds the day that a file of a lake belongs to. ``where`` has the file's path, which names the
    dataset and the date; without one, the command has a place for them."""
    days = _DAY.findall(where)
    dataset, day = (shlex.quote(days[-1][0]), days[-1][1]) if days else ("STAGE", "DAY")
    return f"daystone rebuild {dataset} --date {day}"


def _known(kind: type, document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``document`` that a type has."""
    names = [one.name for one in fields(kind)]
    return {name: document[name] for name in names if name in document}


def _schema(document: Any) -> Schema:
    return tuple((name, kind) for name, kind in document)


def _work(manifest: Manifest) -> tuple[Any, Any, Any]:
    """What decides a result, in the form of JSON. A run that was read back has lists where a new one has tuples; as
    JSON the two are alike."""
    document = json.loads(manifest.to_json())
    for given in document["inputs"]:
        del given["digests"]  # follow from the runs, and an older manifest has none
    return document["inputs"], document["settings"], document["code"]


def schema_hash(schema: Schema) -> str:
    """SHA-256 over names, types and order."""
    return hashlib.sha256(json.dumps([list(column) for column in schema]).encode()).hexdigest()
