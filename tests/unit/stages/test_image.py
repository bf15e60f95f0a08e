"""The documents of an image in a lake: the same for the same model, and enough to have the whole image again."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from spark_lib.errors import ImageError
from spark_lib.lake import Attempt, Lake, Partition
from spark_lib.models.card import CARD
from spark_lib.models.model import digest
from spark_lib.registry.image import contents, documents, pickled
from spark_lib.registry.image.cache import Cache
from spark_lib.registry.image.contents import MODEL, PACKAGES
from spark_lib.registry.image.layers import Entry
from spark_lib.stages import image as images
from spark_lib.stages import selection
from spark_lib.stages.image import MODEL_LAYER
from tests.support.registry import PASSWORD
from tests.unit.registry.image.test_base import FITTING, Other
from tests.unit.rest.served import CASE, DAY, Served

NEXT_DAY = DAY + timedelta(days=1)
NAME = "production"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), CASE)


@pytest.fixture
def served(lake: Lake) -> Served:
    return Served(lake)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A base of one small layer, and packages of one file, which take no time to pack."""
    entries = {f"{PACKAGES}/uvicorn.py": Entry(b"serve()")}
    monkeypatch.setattr(contents, "packages", lambda names: (entries, {"uvicorn": "0.54.0"}))
    return Other(FITTING).write(tmp_path / "python")


def chosen(served: Served, day: date, model: Partition) -> Partition:
    """The selection of a day, which pins a model."""
    with Attempt(served.lake, "selection", [day], stage="Test") as attempt:
        attempt.commit(selection.build(model, [model]))
    return served.lake.require("selection", day)[0]


def stored(lake: Lake, day: date, written: Any, base: str) -> Partition:
    with Attempt(lake, "image", [day], stage="Test", settings={"image.base": base}) as attempt:
        attempt.commit(written)
    return lake.require("image", day)[0]


def test_two_days_with_one_model_have_one_image(served: Served, cache: Cache, base: str) -> None:
    model = served.train(DAY)

    first, second = (
        images.build(served.lake, chosen(served, day, model), NAME, CASE, base, cache) for day in (DAY, NEXT_DAY)
    )

    assert first == second
    assert first.metrics["tag"] == f"{DAY}-{model.manifest.run}"


def test_an_empty_cache_gives_the_same_image(served: Served, tmp_path: Path, base: str) -> None:
    pinned = chosen(served, DAY, served.train(DAY))

    first, second = (
        images.build(served.lake, pinned, NAME, CASE, base, Cache(tmp_path / name)) for name in ("one", "other")
    )

    assert first == second


def test_another_model_is_another_layer_on_the_same_ones(served: Served, cache: Cache, base: str) -> None:
    models = [served.train(day, seed) for seed, day in enumerate((DAY, NEXT_DAY))]

    first, second = (
        images.build(served.lake, chosen(served, model.date, model), NAME, CASE, base, cache).metrics["layers"]
        for model in models
    )

    assert [layer["holds"] for layer in first] == ["base", "packages", "service", "model"]
    assert first[:-1] == second[:-1] and first[-1] != second[-1]


def test_the_layer_of_the_model_has_the_model_its_card_and_where_it_is_from(
    served: Served, cache: Cache, base: str
) -> None:
    model = served.train(DAY)

    made = images.build(served.lake, chosen(served, DAY, model), NAME, CASE, base, cache)

    with tarfile.open(fileobj=io.BytesIO(made.files[MODEL_LAYER])) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]  # files
    assert files.keys() == {f"{MODEL}/{name}" for name in ("model.onnx", CARD, "model.json")}
    assert digest(files[f"{MODEL}/model.onnx"]) == model.manifest.metrics["model_digest"]
    assert files[f"{MODEL}/{CARD}"] == model.document(CARD)


def test_labels_lead_back_to_the_lake_and_the_user_has_no_rights(
    served: Served, cache: Cache, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAYSTONE_REGISTRY_PASSWORD", PASSWORD)
    model = served.train(DAY)

    made = images.build(served.lake, chosen(served, DAY, model), NAME, CASE, base, cache)

    config = json.loads(made.files[images.CONFIG])
    labels = {
        "io.daystone.lake": NAME,
        "io.daystone.use_case": CASE,
        "io.daystone.model_date": str(DAY),
        "io.daystone.model_run": model.manifest.run,
        "io.daystone.model_digest": model.manifest.metrics["model_digest"],
        "org.opencontainers.image.title": f"{CASE} of {DAY}",
        "org.opencontainers.image.version": f"{DAY}-{model.manifest.run}",
    }
    assert config["config"]["Labels"] == labels
    assert json.loads(made.files[images.MANIFEST])["annotations"] == labels
    assert config["config"]["User"] == "1000:1000"
    assert config["config"]["Entrypoint"] == ["python3", "-m", "spark_lib.rest.standalone"]
    assert not [name for name in made.files if PASSWORD.encode() in made.files[name]]


def test_a_stored_image_is_whole_again_with_an_empty_cache(
    served: Served, cache: Cache, base: str, tmp_path: Path
) -> None:
    made = images.build(served.lake, chosen(served, DAY, served.train(DAY)), NAME, CASE, base, cache)
    found = images.read(stored(served.lake, DAY, made, base))

    give = images.contents_of(found, Cache(tmp_path / "other cache"))

    assert documents.digest_of(found.manifest) == found.digest == made.metrics["image_digest"]
    for blob in found.blobs:
        body = give(blob)
        assert documents.digest_of(body if isinstance(body, bytes) else body.read_bytes()) == blob.digest


def test_an_image_whose_packages_have_changed_is_not_pushed_as_what_it_was(
    served: Served, cache: Cache, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = images.build(served.lake, chosen(served, DAY, served.train(DAY)), NAME, CASE, base, cache)
    found = images.read(stored(served.lake, DAY, made, base))
    monkeypatch.setattr(contents, "packages", lambda names: ({f"{PACKAGES}/uvicorn.py": Entry(b"newer")}, {}))
    shutil.rmtree(tmp_path / "cache")

    give = images.contents_of(found, cache)

    layer = made.metrics["layers"][1]["digest"]
    with pytest.raises(ImageError) as refused:
        list(map(give, found.blobs))
    assert str(refused.value) == (
        f"layer {layer}: wanted the layer that the image of the model of {DAY} was built with; found none in the cache, and "
        "another one of what is installed here. Next: go on where the image's packages are installed (its manifest in the "
        "lake names them), or build the image again (daystone rebuild image --date DATE)"
    )


@pytest.mark.processes
def test_a_pickled_model_brings_the_packages_that_it_imports(
    lake: Lake, cache: Cache, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(contents, "packages", lambda names: (asked.append(tuple(names)), ({}, {}))[1])  # type: ignore[func-returns-value]  # it is only to be called
    served = Served(lake, "texts")

    made = images.build(lake, chosen(served, DAY, served.train(DAY)), NAME, CASE, base, cache)

    assert {"onnxruntime", "scikit-learn", "joblib", "pandas", "threadpoolctl", "scipy"} <= set(asked[0])
    assert not {"pyspark", "luigi", "pytest"} & set(asked[0])
    with tarfile.open(fileobj=io.BytesIO(made.files[MODEL_LAYER])) as tar:
        assert f"{MODEL}/model.joblib" in tar.getnames()


@pytest.mark.processes
def test_a_pickle_that_needs_a_module_of_no_package_is_refused() -> None:
    import joblib

    body = io.BytesIO()
    joblib.dump(make_pipeline(FunctionTransformer(digest), FunctionTransformer(chosen)), body)

    with pytest.raises(ImageError) as refused:
        pickled.packages_of(body.getvalue(), digest(body.getvalue()))

    assert str(refused.value) == (
        "model.joblib: wanted a pipeline whose parts are of packages that pip has installed; found one that needs tests. Next: "
        "keep these parts in a package, install it, and train again; or serve by daystone serve, beside the use case"
    )
