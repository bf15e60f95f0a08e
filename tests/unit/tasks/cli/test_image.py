"""``daystone image``: the model of a day as an image that is pushed, pulled and run, and scores as the batch did."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spark_lib.lake import Lake
from tests.support import container, registry
from tests.support.checkout import ROOT
from tests.support.processes import Commands, Result
from tests.unit.registry.image.test_base import FITTING, Other
from tests.unit.rest.served import CASE, DAY, Served
from tests.unit.rest.test_parity import check

pytestmark = [pytest.mark.processes, pytest.mark.slow]

USE_CASE = "tests.unit.rest.served:Case"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registry.Server]:
    with registry.server(tmp_path_factory.mktemp("registry")) as server:
        yield server


@dataclass(frozen=True)
class Daystone:
    """The verbs on a lake with a released day. ``cache`` is the user's."""

    home: Path
    cache: Path
    images: registry.Server
    kind: str = "binary"

    @property
    def served(self) -> Served:
        return Served(Lake(str(self.home / "lake"), CASE), self.kind)

    def __call__(self, verb: str, *arguments: object) -> Result:
        command = [sys.executable, str(ROOT / "run.py"), verb, "--use-case", USE_CASE, "--lake-root", "lake"]
        docker = self.home / "docker"
        docker.mkdir(exist_ok=True)
        environment = {"XDG_STATE_HOME": str(self.home / "state"), "XDG_CACHE_HOME": str(self.cache)}
        environment["DOCKER_CONFIG"] = str(self.images.logged_in(docker))
        return Commands(self.home).run([*command, *map(str, arguments)], env=environment)

    @property
    def written(self) -> str:
        """All that the verbs have logged."""
        return "".join(path.read_text() for path in (self.home / "state").rglob("*.log"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's cache, in which large layers are packed once for all processes of the test run."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "cache of images"


@pytest.fixture
def daystone(tmp_path: Path, cache: Path, images: registry.Server) -> Daystone:
    found = Daystone(tmp_path, cache, images)
    found.served.released()
    return found


def test_a_pushed_image_scores_without_network_what_the_batch_published_and_is_sent_once(
    daystone: Daystone, images: registry.Server, tmp_path: Path
) -> None:
    done = daystone("image", "--date", DAY, "--push", f"{images.host}/risk/loans", "--output", "images")
    again = daystone("image", "--date", DAY, "--push", f"{images.host}/risk/loans:production")

    assert done.code == 0, done.stderr
    (model,) = daystone.served.lake.require("model", DAY)
    (stored,) = daystone.served.lake.require("image", DAY)
    digest, tag = stored.manifest.metrics["image_digest"], f"{DAY}-{model.manifest.run}"
    assert done.stdout.splitlines() == [
        f"image: {digest}, the model of {DAY}",
        f"tag: {tag}",
        "written to images",
        f"pushed to {images.host}/risk/loans: 5 blobs sent, 0 there already",
    ]
    assert again.stdout.splitlines()[2:] == [f"pushed to {images.host}/risk/loans: 0 blobs sent, 5 there already"]
    root = tmp_path / "root"
    config = images.pull("risk/loans", tag, root)
    assert images.pull("risk/loans", "production", tmp_path / "other") == config
    assert images.manifest("risk/loans", digest) == stored.document("manifest.json")
    served = daystone.served
    asked = [
        ("POST", "/predictions", served.features_of(DAY)),
        ("GET", "/health", None),
        ("GET", "/scores/0001", None),
        ("GET", "/metrics", None),
    ]

    found = container.asked(root, config, asked)

    (scored, health, scores, metrics) = found["answers"]
    check(json.loads(scored[1])["predictions"], served.predictions_of(DAY))
    assert (health[0], scores[0], metrics[0]) == (200, 404, 200)
    assert (found["code"], found["user"], found["interfaces"]) == (0, 1000, ["lo"])
    assert f"serving the model of {DAY}, {model.manifest.metrics['model_digest']}" in found["said"]
    open_to_others = {"DAYSTONE_SERVE_HOST": "0.0.0.0", "DAYSTONE_SERVE_TOKEN": "a-token-of-some-length"}
    guarded = container.asked(root, config, asked[:2], **open_to_others)
    assert [status for status, _ in guarded["answers"]] == [401, 200]
    refused = container.asked(root, config, [], DAYSTONE_SERVE_HOST="0.0.0.0")
    assert refused["code"] == 31
    assert (
        "DAYSTONE_SERVE_HOST: wanted 127.0.0.1, or a token in the environment's DAYSTONE_SERVE_TOKEN" in refused["said"]
    )
    assert not _secrets(daystone, done, again)


def test_an_image_that_stands_on_another_one_scores_what_the_batch_published(
    daystone: Daystone, images: registry.Server, cache: Path, tmp_path: Path
) -> None:
    """The other image is one of ours, whose Python is of the right version."""
    first = daystone("image", "--date", DAY, "--push", f"{images.host}/base/python:here")
    assert first.code == 0, first.stderr
    other = Daystone(tmp_path / "other", cache, images)
    other.served.released(seed=1)

    base = ("--set", f"image.base={images.host}/base/python:here")
    done = other("image", "--date", DAY, "--push", f"{images.host}/risk/other:it", *base)

    assert done.code == 0, done.stderr
    config = images.pull("risk/other", "it", tmp_path / "root")
    found = container.asked(tmp_path / "root", config, [("POST", "/predictions", other.served.features_of(DAY))])
    check(json.loads(found["answers"][0][1])["predictions"], other.served.predictions_of(DAY))
    (stored,) = other.served.lake.require("image", DAY)
    assert stored.manifest.metrics["base"].startswith(f"{images.host}/base/python@sha256:")


def test_the_page_about_images_shows_what_is_printed(
    daystone: Daystone, images: registry.Server, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "image.md").read_text(encoding="utf-8")
    base = Other(FITTING).write(tmp_path / "python")

    shown = [
        daystone("image", "--date", DAY, *more, "--set", f"image.base={base}").stdout
        for more in (
            ["--push", f"{images.host}/risk/page"],
            ["--push", f"{images.host}/risk/page", "--output", "images"],
        )
    ]

    for words in shown:
        assert _masked(words, images) in _masked(page, images)


def _masked(text: str, images: registry.Server) -> str:
    """A text without what differs from run to run, and without the margin of an example."""
    text = re.sub(r"^    ", "", text, flags=re.MULTILINE).replace(
        f"{images.host}/risk/page", "registry.example.org/risk/loans"
    )
    return re.sub(r"sha256:[0-9a-f]{64}|(?<=\d-)[0-9a-f]{16}\b", "#", text)


@pytest.mark.full
def test_a_pickled_model_scores_without_network_what_the_batch_published(
    tmp_path: Path, cache: Path, images: registry.Server
) -> None:
    daystone = Daystone(tmp_path, cache, images, "texts")
    daystone.served.released()

    done = daystone("image", "--date", DAY, "--push", f"{images.host}/shop/categories")

    assert done.code == 0, done.stderr
    root = tmp_path / "root"
    config = images.pull("shop/categories", done.stdout.splitlines()[1].removeprefix("tag: "), root)
    found = container.asked(root, config, [("POST", "/predictions", daystone.served.features_of(DAY))])
    check(json.loads(found["answers"][0][1])["predictions"], daystone.served.predictions_of(DAY))


def test_a_registry_that_is_away_has_an_exit_code_of_its_own_and_the_image_stays(
    daystone: Daystone, images: registry.Server, tmp_path: Path
) -> None:
    base = Other(FITTING).write(tmp_path / "python")
    images.kill()
    try:
        away = daystone("image", "--date", DAY, "--push", f"{images.host}/loans", "--set", f"image.base={base}")
    finally:
        images.start()

    assert away.code == 56
    assert "wanted an answer of the registry; found Connection refused, 4 times" in away.stderr
    assert daystone.served.lake.find("image", DAY, DAY)
    assert not _secrets(daystone, away)


def test_an_image_that_cannot_be_built_has_an_exit_code_of_its_own(daystone: Daystone, tmp_path: Path) -> None:
    base = Other({"os": "windows", "architecture": "amd64"}).write(tmp_path / "python")

    refused = daystone("image", "--date", DAY, "--set", f"image.base={base}")

    assert refused.code == 57
    assert re.search(
        r"wanted an image for linux/\w+ with Python [\d.]+, .*; found one for windows/amd64", refused.stderr
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--push", "loans"), "daystone image --push: wanted a name like registry.example.org/team/loans"),
        (
            ("--push", f"registry.example.org/loans@sha256:{'0' * 64}"),
            "daystone image --push: wanted a repository, or a repository and a tag; found registry.example.org/loans@sha256:",
        ),
        (("--set", "image.base=python"), "--set image.base: wanted a name like registry.example.org/team/loans"),
    ],
)
def test_a_name_that_is_none_is_refused_before_anything_is_built(
    daystone: Daystone, options: tuple[str, ...], words: str
) -> None:
    refused = daystone("image", "--date", DAY, *options)

    assert refused.code == 31
    assert words in refused.stderr
    assert not daystone.served.lake.find("image", DAY, DAY)


def test_status_and_why_tell_of_an_image(daystone: Daystone, tmp_path: Path) -> None:
    base = Other(FITTING).write(tmp_path / "python")
    made = daystone("image", "--date", DAY, "--set", f"image.base={base}")
    assert made.code == 0, made.stderr
    (stored,) = daystone.served.lake.require("image", DAY)

    told = daystone("why", "image", "--date", DAY, "--set", f"image.base={base}")
    shown = daystone("status", "--from", DAY, "--to", DAY, "--set", f"image.base={base}")
    other = daystone("status", "--from", DAY, "--to", DAY)

    assert f"the tag {stored.manifest.metrics['tag']}" in told.stdout
    assert stored.manifest.metrics["image_digest"].removeprefix("sha256:")[:12] in shown.stdout
    assert f"stale: image of {DAY}" in other.stdout  # it stands on another base than is set


def _secrets(daystone: Daystone, *results: Result) -> list[str]:
    """The places in which a password is."""
    texts = {"a log": daystone.written} | {f"output {n}": r.stdout + r.stderr for n, r in enumerate(results)}
    lake = {
        str(path): path.read_bytes().decode(errors="replace")
        for path in (daystone.home / "lake").rglob("*")
        if path.is_file()
    }
    return [
        place for place, text in (texts | lake).items() if registry.PASSWORD in text or daystone.images.basic in text
    ]
