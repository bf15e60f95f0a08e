"""``rebuild``: a new run takes the place of the old one, whole or damaged, and readers of the old one never mix them."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from tests.support.processes import Result
from tests.unit.verbs import SHORT, Verbs, last_line

pytestmark = pytest.mark.processes

MONDAY, TUESDAY = date(2026, 1, 12), date(2026, 1, 13)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Verbs:
    verbs = Verbs(tmp_path_factory.mktemp("built"))
    verbs.land("2026-01-01", 13)
    assert verbs.stubbed("run", "--date", TUESDAY, *SHORT).code == 0
    return verbs


@pytest.fixture
def built(first_run: Verbs, tmp_path: Path) -> Verbs:
    """Verbs on a lake with predictions of Tuesday."""
    shutil.copytree(first_run.root, tmp_path / "lake")
    return Verbs(tmp_path)


def rebuild(daystone: Verbs, stage: str, day: object = TUESDAY) -> Result:
    return daystone.stubbed("rebuild", stage, "--date", day, *SHORT)


def run_of(daystone: Verbs, dataset: str, day: date = TUESDAY) -> str:
    return daystone.lake.require(dataset, day)[0].manifest.run


def test_a_complete_day_is_built_anew_and_the_old_run_stays_for_its_readers(built: Verbs) -> None:
    reader = built.lake.require("features", TUESDAY)[0]
    before = [Path(file).read_bytes() for file in reader.files()]

    result = rebuild(built, "features")

    assert result.code == 0, result.stderr
    new = run_of(built, "features")
    assert new != reader.manifest.run
    assert re.match(r"built 1 partition in \d+ s\nfeatures of 2026-01-13: ", result.stdout)
    assert f"run {new} took the place of run {reader.manifest.run}, whose files stay until gc" in result.stdout
    assert [Path(file).read_bytes() for file in reader.files()] == before
    assert not set(reader.files()) & set(built.lake.require("features", TUESDAY)[0].files())


def forget_digests(daystone: Verbs, dataset: str) -> None:
    """Let a manifest not say which rows its inputs had, as those of older versions do."""
    flag = daystone.root / "credit_risk" / dataset / f"date={TUESDAY}" / "_SUCCESS"
    manifest = json.loads(flag.read_bytes())
    for given in manifest["inputs"]:
        given["digests"] = []
    flag.write_text(json.dumps(manifest))


def test_nothing_is_to_follow_where_the_new_run_has_the_rows_of_the_old_one(built: Verbs) -> None:
    result = rebuild(built, "features")

    assert "took the place of run" in result.stdout
    assert "built from an older run" not in result.stdout


def test_what_was_built_from_the_old_run_is_named_and_stays(built: Verbs) -> None:
    forget_digests(built, "predictions")
    predictions = run_of(built, "predictions")

    result = rebuild(built, "features")

    assert result.stdout.splitlines()[-1] == (
        "built from an older run: predictions of 2026-01-13; to follow: daystone rebuild predictions --date 2026-01-13 "
        f"--lake-root {built.root} --set training.window_days=7 --set training.label_delay_days=2"
    )
    assert run_of(built, "predictions") == predictions
    assert "built from an older run: predictions" in rebuild(built, "features").stdout
    assert rebuild(built, "predictions").code == 0
    assert "built from an older run" not in rebuild(built, "predictions").stdout


def test_the_command_that_follows_names_the_use_case_too(built: Verbs) -> None:
    forget_digests(built, "predictions")
    result = built.stubbed("rebuild", "features", "--date", TUESDAY, "--use-case", "credit_risk")

    assert result.stdout.splitlines()[-1] == (
        "built from an older run: predictions of 2026-01-13; to follow: daystone rebuild predictions --date 2026-01-13 "
        f"--lake-root {built.root} --use-case credit_risk"
    )


@pytest.mark.parametrize("stage", ["balanced", "model", "selection", "predictions"])
def test_every_stage_can_be_rebuilt(built: Verbs, stage: str) -> None:
    day = date(2026, 1, 12) if stage in ("balanced", "model") else TUESDAY
    old = run_of(built, stage, day)

    result = rebuild(built, stage, day)

    assert result.code == 0, result.stderr
    assert run_of(built, stage, day) != old
    assert built.stubbed("run", "--date", TUESDAY, *SHORT).stdout.startswith("nothing to do")


@pytest.mark.parametrize("damage", ["a file is gone", "the manifest is none"])
def test_a_damaged_day_is_repaired(built: Verbs, damage: str) -> None:
    partition = built.lake.require("features", TUESDAY)[0]
    if damage == "a file is gone":
        os.unlink(partition.files()[0])
    else:
        (built.root / partition.prefix / "_SUCCESS").write_text("not a manifest")
    assert built("run", "features", "--date", TUESDAY).code == 35

    result = rebuild(built, "features")

    assert result.code == 0, result.stderr
    assert run_of(built, "features") != partition.manifest.run
    assert "built from an older run" not in result.stdout  # the rows are those that were there
    assert built("status", "--verify").code == 0


def test_a_day_that_was_never_built_is_built(built: Verbs) -> None:
    shutil.rmtree(built.root / "credit_risk/predictions")

    result = rebuild(built, "predictions")

    assert (result.code, "took the place" in result.stdout) == (0, False)
    assert built.lake.is_published("predictions", TUESDAY)


def test_a_rebuild_that_fails_leaves_the_old_run_in_force(built: Verbs) -> None:
    old = run_of(built, "features")
    shutil.rmtree(built.root / "credit_risk/raw/applications/date=2026-01-13")

    result = rebuild(built, "features")

    assert result.code == 20
    assert "raw feed applications of 2026-01-13" in last_line(result)
    assert run_of(built, "features") == old


def test_an_altered_file_of_the_same_size_is_found_by_its_checksum_alone(built: Verbs) -> None:
    file = Path(built.lake.require("features", TUESDAY)[0].files()[0])
    content = file.read_bytes()
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])

    plain, verified = built("status"), built("status", "--verify")

    assert plain.code == 0
    assert verified.code == 35
    assert f"features of 2026-01-13: {file}: wanted the content of sha256:" in verified.stdout
    assert re.search(r"^2026-01-13 .* damaged ", verified.stdout, flags=re.MULTILINE)
    assert re.search(r"^\d+ files read and held against the manifests$", verified.stdout, flags=re.MULTILINE)
    assert last_line(verified).startswith(f"Error: lake {built.root}: wanted every published partition to be whole; ")


def test_a_selection_whose_pinned_model_is_altered_is_repaired_by_both_commands_that_are_named(built: Verbs) -> None:
    (file,) = built.root.glob(f"credit_risk/model/date={MONDAY}/run=*/model.onnx")
    file.write_bytes(b"x" * file.stat().st_size)
    rebuild(built, "model", MONDAY)

    verified = built("status", "--verify")

    both = f"daystone rebuild model --date {MONDAY}, daystone rebuild selection --date {TUESDAY}"
    assert verified.code == 35
    assert f"selection of {TUESDAY}: {file}: wanted sha256:" in verified.stdout
    assert f"restore the file; or train anew, then choose anew ({both})" in verified.stdout
    assert last_line(verified).endswith(f"Next: restore the file; or train anew, then choose anew ({both})")
    rebuild(built, "selection")
    assert built("status", "--verify").code == 0
