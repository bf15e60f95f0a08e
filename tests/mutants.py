"""The checks of the checks: takes one safeguard of the lake out at a time, and a test must fail each time.

    make mutants

Works on copies of the checkout, two mutants at a time, so that nothing is ever left broken. First the tests named below
must pass on the copies as they are; a mutant is killed where its own fails then. The exit code is 1 where one survives.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[1]
_COPIED = ("spark_lib", "tasks", "tests", "scripts", "setup.cfg")
_LINKED = ".tools"  # the S3 server
#: Copies of the checkout, on each of which one pytest runs at a time.
_COPIES = 2


@dataclass(frozen=True)
class Mutant:
    """A safeguard taken out: the only ``old`` in ``file`` becomes ``new``, and ``test`` must fail."""

    name: str
    file: str
    old: str
    new: str
    test: str


_LOCAL = "spark_lib/lake/stores/local.py"
_S3 = "spark_lib/lake/stores/s3.py"
_ATTEMPT = "spark_lib/lake/attempt.py"
_LAKE = "spark_lib/lake/lake.py"
_RECORDS = "spark_lib/frames/delimited/records.py"
_VALUES = "spark_lib/frames/delimited/values.py"
_READER = "spark_lib/frames/delimited/reader.py"
_LANDING = "spark_lib/lake/feeds/landing.py"
_CLEAN = "spark_lib/lake/clean.py"
_IMAGES = "spark_lib/registry/image/"
_PROMOTIONS = "spark_lib/registry/promotions.py"
_OF_PROMOTIONS = "tasks/graph/test_promotions.py"

MUTANTS = (
    Mutant(
        "a local first put overwrites",
        _LOCAL,
        "os.link(prepared, self.url(key))",
        "os.replace(prepared, self.url(key))",
        "lake/test_publish.py::test_a_first_publish_with_other_work_leaves_the_winner_to_the_staleness_policy[local]",
    ),
    Mutant(
        "a local swap ignores what is there",
        _LOCAL,
        "if found != etag:",
        "if not found:",
        "lake/test_publish.py::test_a_rebuild_that_finds_equal_work_is_done[local]",
    ),
    Mutant(
        "a local swap takes no lock",
        _LOCAL,
        "as prepared, self._locked(key):",
        "as prepared:",
        "lake/stores/test_local.py::test_a_lock_that_is_held_delays_a_swap_and_loses_nothing",
    ),
    Mutant(
        "a first put on S3 has no If-None-Match",
        _S3,
        'self._put(key, body, IfNoneMatch="*")',
        "self._put(key, body)",
        "lake/test_publish.py::test_a_first_publish_with_other_work_leaves_the_winner_to_the_staleness_policy[versitygw]",
    ),
    Mutant(
        "a swap on S3 has no If-Match",
        _S3,
        "self._put(key, body, IfMatch=f'\"{etag}\"')",
        "self._put(key, body)",
        "lake/test_publish.py::test_a_rebuild_that_finds_equal_work_is_done[versitygw]",
    ),
    Mutant(
        "files are not listed again before the put",
        _ATTEMPT,
        "if self._listed(day, written) != listed or not complete:",
        "if not complete:",
        "lake/test_publish.py::test_a_file_that_appears_between_count_and_put_publishes_nothing[local]",
    ),
    Mutant(
        "documents are not counted before the put",
        _ATTEMPT,
        "complete = written.files is None or len(listed) == len(written.files)",
        "complete = True",
        "lake/test_publish.py::test_a_document_that_vanishes_before_the_put_publishes_nothing[local]",
    ),
    Mutant(
        "files that no task named are published",
        _ATTEMPT,
        "if written.files is not None:",
        "if isinstance(written, Documents):",
        "lake/test_publish.py::test_a_file_that_no_task_named_is_nobodys_even_as_it_appears[local]",
    ),
    Mutant(
        "pages are scored without their checksum",
        "spark_lib/scoring/partitions.py",
        "page_checksum_verification=True",
        "page_checksum_verification=False",
        "scoring/test_scoring.py::test_a_flipped_bit_in_a_page_is_damage_and_no_other_score",
    ),
    Mutant(
        "inputs are not looked at again before the put",
        _ATTEMPT,
        "given.verify()",
        "pass",
        "lake/test_publish.py::test_a_raw_day_that_changes_before_the_put_publishes_nothing[local]",
    ),
    Mutant(
        "an attempt may take for ever",
        _ATTEMPT,
        "if time.monotonic() - self._began > self._max_seconds:",
        "if False:",
        "lake/test_publish.py::test_an_attempt_that_took_too_long_refuses_to_publish[local]",
    ),
    Mutant(
        "a put without an answer is not read back",
        _ATTEMPT,
        'logger.info("%s: %s; reading it back", self._store.url(key), type(answer).__name__)',
        'return body, ""',
        "lake/test_publish.py::test_a_put_that_was_not_executed_is_sent_again[local]",
    ),
    Mutant(
        "a refusal after one's own success is believed",
        _ATTEMPT,
        "if stands.run == self.run:",
        "if there is body:",
        "lake/test_publish.py::test_a_refusal_after_ones_own_success_is_a_success[local]",
    ),
    Mutant(
        "files are removed after their put was sent",
        _ATTEMPT,
        "self._sent.add(day)",
        "pass",
        "lake/test_publish.py::test_an_unsettled_put_is_an_error_and_its_files_stay[local]",
    ),
    Mutant(
        "a day is cleaned without taking its manifest away first",
        _CLEAN,
        'lake.store.remove_objects([f"{directory.prefix}/{manifests.NAME}"])',
        "pass",
        "lake/test_clean.py::test_a_removal_that_stops_anywhere_leaves_a_day_that_is_not_there[local-2]",
    ),
    Mutant(
        "footers are not compared with what was observed",
        _ATTEMPT,
        "if counted != dict(written.observed):",
        "if False:",
        "lake/test_publish.py::test_files_with_other_rows_than_observed_publish_nothing[local]",
    ),
    Mutant(
        "files are not on disk before the put",
        _ATTEMPT,
        "self._store.persist(entry.key for entry in listed)",
        "pass",
        "lake/stores/test_local.py::test_everything_a_manifest_names_is_on_disk_before_it_appears",
    ),
    Mutant(
        "the store is not probed",
        _ATTEMPT,
        "self._store.probe()",
        "pass",
        "lake/stores/test_local.py::test_a_file_system_without_hard_links_is_refused",
    ),
    Mutant(
        "a server that ignores conditions is trusted",
        _S3,
        "if ignored and not self.connection.trust_unconditional_puts:",
        "if False:",
        "lake/stores/test_s3.py::test_a_server_that_ignores_conditions_is_refused_by_name",
    ),
    Mutant(
        "sizes are not compared",
        _LAKE,
        "if there.size != file.size:",
        "if False:",
        "lake/test_find.py::test_a_file_of_another_size_is_damage[local]",
    ),
    Mutant(
        "ETags are not compared",
        _LAKE,
        "if etag and etag != there.etag:",
        "if False:",
        "lake/stores/test_s3.py::test_a_file_that_was_replaced_by_one_of_the_same_size_is_damage",
    ),
    Mutant(
        "checksums of documents are not compared",
        _LAKE,
        "if content is None or found != checksum:",
        "if content is None:",
        "lake/test_find.py::test_a_document_with_other_content_of_the_same_size_is_damage[local]",
    ),
    Mutant(
        "a partition is what lies in its directory",
        _LAKE,
        "found = self.manifest.files if section is None else self.section(section)",
        'return [self.store.url(entry.key) for entry in self.store.list(self.prefix) if "/part-" in entry.key]',
        "lake/test_find.py::test_a_partition_is_what_its_manifest_names[local]",
    ),
    Mutant(
        "a refusal of S3 is taken for a missing object",
        _S3,
        'if code_of(error) == "NoSuchKey":',
        'if code_of(error) in ("NoSuchKey", "AccessDenied"):',
        "lake/stores/test_s3.py::test_a_manifest_that_may_not_be_read_is_never_a_missing_day",
    ),
    Mutant(
        "a listing on S3 begins with the first key",
        _S3,
        'asked["StartAfter"] = directory + _just_before(first)',
        "pass",
        "lake/stores/test_s3.py::test_a_listing_of_10_000_keys_is_whole_and_in_order",
    ),
    Mutant(
        "a listing on S3 asks for every day",
        _S3,
        "directory + _shared_beginning(first, last)",
        "directory",
        "lake/stores/test_s3.py::test_a_list_asks_for_what_the_bounds_have_in_common",
    ),
    Mutant(
        "a local listing opens every day",
        _LOCAL,
        "if item.name < first or (last and item.name > last):",
        "if False:",
        "lake/stores/test_local.py::test_directories_outside_the_bounds_are_not_opened",
    ),
    Mutant(
        "a forked process may use its parent's session",
        "spark_lib/session/session.py",
        "if pid != os.getpid():",
        "if False:",
        "tests/spark/session/test_session.py::test_a_forked_process_is_refused",
    ),
    Mutant(
        "bytes that are no text are replaced",
        _RECORDS,
        '(encoding)("strict")',
        '(encoding)("replace")',
        "frames/test_delimited.py::test_what_is_no_csv_of_the_declared_columns_is_refused_with_its_place",
    ),
    Mutant(
        "a quote in the middle of a value is part of it",
        _RECORDS,
        "np.concatenate([opening[~good], closing[~well]])",
        "closing[~well]",
        "frames/test_delimited.py::test_what_is_no_csv_of_the_declared_columns_is_refused_with_its_place",
    ),
    Mutant(
        "a pattern need not fit a whole text",
        _VALUES,
        "\\A(?:{kind.pattern})\\z",
        "(?:{kind.pattern})",
        "frames/test_delimited.py::test_a_text_that_is_not_exactly_a_value_of_its_type_is_refused",
    ),
    Mutant(
        "a number beyond its type is infinite or nothing",
        _VALUES,
        "if pc.any(pc.or_(pc.is_inf(numbers), vanished)).as_py():",
        "if False:",
        "frames/test_delimited.py::test_a_text_that_is_not_exactly_a_value_of_its_type_is_refused",
    ),
    Mutant(
        "a quoted empty text is null",
        _READER,
        "quoted_strings_can_be_null=False",
        "quoted_strings_can_be_null=True",
        "frames/test_delimited.py::test_only_the_null_text_without_quotes_is_null",
    ),
    Mutant(
        "of two columns that fit one the first is read",
        _READER,
        "if by_case[name.casefold()] > 1:",
        "if by_case[name.casefold()] > 2:",
        "frames/test_delimited.py::test_what_is_no_csv_of_the_declared_columns_is_refused_with_its_place",
    ),
    Mutant(
        "a landing puts the flag before the file",
        _LANDING,
        "    with store.writing(name) as file:",
        '    create(store, feed.flag, b"")\n    with store.writing(name) as file:',
        "frames/test_landing.py::test_a_landing_that_fails_leaves_no_flag_and_goes_on_where_it_stopped",
    ),
    Mutant(
        "a landing flags files of others",
        _LANDING,
        "if others:",
        "if False:",
        "frames/test_landing.py::test_a_day_without_a_flag_that_has_files_of_others_is_refused",
    ),
    Mutant(
        "a landing does not ask for the flag again",
        _LANDING,
        "if store.read(feed.flag) is not None:",
        "if False:",
        "frames/test_landing.py::test_a_flag_that_comes_while_days_are_written_stands",
    ),
    Mutant(
        "a key that is there twice on a day lands",
        "spark_lib/frames/landing/rows.py",
        "if many:",
        "if False:",
        "frames/test_landing.py::test_a_key_that_is_in_two_files_is_refused_with_both",
    ),
    Mutant(
        "a layer with another digest is kept in the cache",
        _IMAGES + "cache.py",
        "if there != blob.digest:",
        "if False:",
        "registry/image/test_cache.py::test_a_blob_with_another_digest_is_not_kept",
    ),
    Mutant(
        "a registry may lead to any address",
        _IMAGES + "client.py",
        "if not self._may_be_asked(url):",
        "if False:",
        "registry/image/test_answers.py::test_a_redirect_to_no_address_with_tls_is_not_followed",
    ),
    Mutant(
        "a registry's credentials go where its blobs lie",
        _IMAGES + "client.py",
        "if self._authorization and self._is_own(url) else {}",
        "if self._authorization else {}",
        "registry/image/test_answers.py::test_a_blob_that_lies_elsewhere_is_fetched_there_without_our_credentials",
    ),
    Mutant(
        "a promotion counts before its first day",
        _PROMOTIONS,
        "for each in promotions if each.first_day <= day), key=lambda each: each.order):",
        "for each in promotions), key=lambda each: each.order):",
        "registry/test_promotions.py::test_the_newest_first_day_decides_and_of_one_day_the_last_number",
    ),
    Mutant(
        "a demotion that is given again brings back the model that it has ended",
        "tasks/cli/promote.py",
        "if now is not None and now.decided.undoes and now.decided.first_day == first:",
        "if now is not None and now.decided.why == why and now.decided.first_day != first:",
        "tasks/cli/test_promote.py::test_a_demotion_that_is_given_again_goes_on_and_never_brings_back_the_model_that_it_ended",
    ),
    Mutant(
        "clean removes what a rollback has put in force",
        "tasks/release.py",
        "    keeps = (BatchInference.dataset, ShadowInference.dataset)",
        "    keeps = (BatchInference.dataset,)",
        "tasks/cli/test_promote.py::test_a_shadow_that_a_rollback_has_put_in_force_is_not_removed_without_the_release",
    ),
    Mutant(
        "gc removes the model of a promotion",
        "tasks/planning/kept.py",
        "    for each in promotions.read(lake):",
        "    for each in ():",
        f"{_OF_PROMOTIONS}::test_gc_keeps_the_run_of_a_promoted_model",
    ),
    Mutant(
        "a training is promoted by its date alone",
        "spark_lib/stages/selection.py",
        "        model.date, model.digest, model.run, model.files, promoted=stands.name, because=because, beside=beside",
        "        model.date, lake.require('model', model.date)[0].manifest.metrics['model_digest'], lake.require('model', model.date)[0].manifest.run, _pins(lake.require('model', model.date)[0]), promoted=stands.name, because=because, beside=beside",
        f"{_OF_PROMOTIONS}::test_a_training_that_is_built_again_is_not_promoted_by_its_date_alone",
    ),
    Mutant(
        "a canary's entities have no salt",
        "spark_lib/scoring/share.py",
        "key=self.salt.encode()[:64]",
        'key=b""',
        "scoring/test_share.py::test_another_promotion_draws_other_entities",
    ),
    Mutant(
        "a canary that fails takes the predictions with it",
        "spark_lib/stages/inference.py",
        "        except (BadData, ModelError, UseCaseError) as error:",
        "        except UseCaseError as error:",
        "rest/test_canary.py::test_a_canary_that_cannot_score_the_day_fails_alone",
    ),
    Mutant(
        "a hold leaves what a rollback put in force",
        "spark_lib/stages/release.py",
        "(run in hold.runs or old.dataset == SECOND)",
        "run in hold.runs",
        f"{_OF_PROMOTIONS}::test_a_day_that_its_checks_hold_is_released_by_a_rollback_and_a_hold_outranks_it",
    ),
)


@dataclass(frozen=True)
class Run:
    """What pytest said: its exit code, the tests that failed, and all of its output."""

    code: int
    failed: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Tried:
    """A mutant, the tests on it, and how long they took."""

    mutant: Mutant
    run: Run
    seconds: float

    @property
    def killed(self) -> bool:
        return self.run.code == pytest.ExitCode.TESTS_FAILED and bool(self.run.failed)

    def __str__(self) -> str:
        verdict = f"killed   by {self.run.failed[0]}" if self.killed else f"SURVIVES\n{self.run.output}"
        return f"{self.mutant.name:<50}  {self.seconds:5.1f} s  {verdict}"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="daystone-mutants-") as directory:
        for mutant in MUTANTS:
            without(ROOT, mutant)
        copies = _Copies(Path(directory).resolve())
        begun = time.monotonic()
        tests = [mutant.test for mutant in MUTANTS]
        for whole in copies.each(run_tests, [share for share in (tests[::2], tests[1::2]) if share]):
            if whole.code:
                sys.exit(f"{whole.output}\nThe tests do not pass on the code as it is: no mutant says anything")
        print(f"{'nothing taken out':<50}  passes  {time.monotonic() - begun:5.1f} s", flush=True)
        killed = []
        for tried in copies.each(_try, MUTANTS):
            print(tried, flush=True)
            killed.append(tried.killed)
    print(f"{len(killed)} mutants, {sum(killed)} killed")
    sys.exit(0 if all(killed) else 1)


class _Copies:
    """Copies of the checkout below ``directory``, for a call each at a time."""

    def __init__(self, directory: Path) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        for number in range(_COPIES):
            copy_to(directory / str(number))
            self._free.put(directory / str(number))

    def each(self, call: Callable[[Path, Any], Any], given: Sequence[Any]) -> Iterator[Any]:
        """What ``call`` returns of a copy and each of the given, in their order."""
        pool = ThreadPoolExecutor(_COPIES)
        try:
            yield from pool.map(lambda one: self._on_one(call, one), given)
        finally:
            pool.shutdown(cancel_futures=True)

    def _on_one(self, call: Callable[[Path, Any], Any], given: Any) -> Any:
        copy = self._free.get()
        try:
            return call(copy, given)
        finally:
            self._free.put(copy)


def run_tests(copy: Path, tests: Sequence[str]) -> Run:
    """The named tests, until one fails, on the copy."""
    named = [test if test.startswith("tests/") else f"tests/unit/{test}" for test in dict.fromkeys(tests)]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "--tb=short", "-p", "tests.mutants"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, f"--basetemp={copy / 'tmp'}", *named],
        cwd=copy,
        env=own | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    failed = re.findall(r"^FAILED \S*?::(.*?)(?: - .*)?$", done.stdout, flags=re.MULTILINE)
    return Run(done.returncode, tuple(failed), done.stdout)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of the tests, whose plugin this is: an error where what they tested was not the copy that they lie in."""
    copy = session.config.rootpath
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in _COPIED and file and not Path(file).is_relative_to(copy):
            pytest.exit(f"{name} was imported from {file}, not from {copy}", returncode=pytest.ExitCode.INTERNAL_ERROR)


def copy_to(copy: Path) -> None:
    copy.mkdir(exist_ok=True)
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    (copy / _LINKED).symlink_to(ROOT / _LINKED)


def without(copy: Path, mutant: Mutant) -> str:
    """The source of a mutant's file without the safeguard. Exits where the safeguard is not there exactly once."""
    source = (copy / mutant.file).read_text()
    if source.count(mutant.old) != 1:
        sys.exit(
            f"{mutant.name}: wanted this once in {mutant.file}: {mutant.old}; found it {source.count(mutant.old)} times. "
            "Next: say in tests/mutants.py what the safeguard looks like now"
        )
    return source.replace(mutant.old, mutant.new)


def _try(copy: Path, mutant: Mutant) -> Tried:
    kept = (copy / mutant.file).read_text()
    (copy / mutant.file).write_text(without(copy, mutant))
    begun = time.monotonic()
    run = run_tests(copy, [mutant.test])
    (copy / mutant.file).write_text(kept)
    return Tried(mutant, run, time.monotonic() - begun)


if __name__ == "__main__":
    main()
