"""The zip files in which executors get code, and what cannot be shipped."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import spark_lib
from spark_lib.errors import ConfigurationError
from spark_lib.session import shipping

NEXT = "Next: install it where executors run (an image, or spark.archives), and set [spark] ship_code = false"


class Context:
    """What is asked of a SparkContext, without a JVM."""

    def __init__(self, master: str, directory: Path) -> None:
        self.master, self._temp_dir = master, str(directory)
        self.applicationId = f"application in {directory}"
        self.added: list[str] = []

    @property
    def sparkContext(self) -> Context:
        return self

    def addPyFile(self, path: str) -> None:
        self.added.append(path)
        sys.path.insert(1, path)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on Python's path."""
    monkeypatch.syspath_prepend(tmp_path / "packages")
    return tmp_path / "packages"


def write(packages: Path, *names: str, content: str = "A = 1\n") -> None:
    for name in names:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(content)


def names_in(made: Path) -> list[str]:
    return [name for name in zipfile.ZipFile(made).namelist() if not name.endswith("/")]


def test_a_package_is_shipped_with_its_data_and_without_what_is_compiled_or_hidden(
    packages: Path, tmp_path: Path
) -> None:
    write(packages, "shipped_one/__init__.py", "shipped_one/deep/er.py", "shipped_one/data.json", "beside.py")
    write(packages, "shipped_one/__pycache__/er.cpython-311.pyc", "shipped_one/.env", "shipped_one/old.pyc")

    made = shipping.archive("shipped_one", tmp_path)

    assert names_in(made) == ["shipped_one/__init__.py", "shipped_one/data.json", "shipped_one/deep/er.py"]


def test_the_name_tells_one_content_from_another_and_the_same_content_has_the_same_bytes(
    packages: Path, tmp_path: Path
) -> None:
    write(packages, "shipped_two.py")
    (tmp_path / "again").mkdir()
    made, again = shipping.archive("shipped_two", tmp_path), shipping.archive("shipped_two", tmp_path / "again")
    before = made.read_bytes()

    write(packages, "shipped_two.py", content="A = 2\n")
    other = shipping.archive("shipped_two", tmp_path)

    assert (made.name, before) == (again.name, again.read_bytes())
    assert other.name != made.name
    assert names_in(other) == ["shipped_two.py"]


def test_a_package_without_an_init_is_imported_from_its_zip(packages: Path, tmp_path: Path) -> None:
    write(packages, "shipped_three/inner/use_case.py", content="WHERE = __file__\n")

    made = shipping.archive("shipped_three", tmp_path)

    source = (
        "import sys; sys.path.insert(0, sys.argv[1]); import shipped_three.inner.use_case as found; print(found.WHERE)"
    )
    printed = subprocess.run([sys.executable, "-c", source, str(made)], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == f"{made}/shipped_three/inner/use_case.py"


def test_daystone_runs_from_its_zip_and_compiles_a_copy_whose_path_stays(tmp_path: Path) -> None:
    made = shipping.archive("spark_lib", tmp_path)
    source = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); from spark_lib.scoring import forest; "
        "print(forest.__file__, forest._kernel(Path(sys.argv[2])).__code__.co_filename)"
    )
    command = [sys.executable, "-c", source, str(made), str(tmp_path / "compiled")]

    where, copy = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split()

    assert where == f"{made}/spark_lib/scoring/forest.py"
    assert Path(copy).parent == tmp_path / "compiled"
    kernel = Path(spark_lib.__file__).parent / "scoring" / "forest_kernel.py"
    assert Path(copy).read_text() == kernel.read_text()


@pytest.mark.parametrize("master", ["local", "local[2]", "local[*]"])
def test_nothing_is_shipped_where_tasks_run_in_the_driver(tmp_path: Path, master: str) -> None:
    context = Context(master, tmp_path)

    shipping.ship(context, "spark_lib.use_cases.credit_risk")  # type: ignore[arg-type]  # as a session is asked

    assert context.added == []


def test_each_package_is_shipped_once_to_an_application_and_the_driver_s_path_stays_as_it_is(
    packages: Path, tmp_path: Path
) -> None:
    write(packages, "shipped_four/__init__.py", "shipped_four/case.py")
    context, path = Context("spark://there:7077", tmp_path), list(sys.path)

    for module in ("spark_lib.use_cases.credit_risk", "shipped_four.case", "shipped_four.case"):
        shipping.ship(context, module)  # type: ignore[arg-type]  # as a session is asked

    assert [Path(added).name.rpartition("-")[0] for added in context.added] == ["spark_lib", "shipped_four"]
    assert sys.path == path


def test_a_package_with_a_compiled_module_is_refused(packages: Path, tmp_path: Path) -> None:
    write(packages, "shipped_five/__init__.py", "shipped_five/fast.so")

    with pytest.raises(ConfigurationError) as caught:
        shipping.archive("shipped_five", tmp_path)

    assert str(caught.value) == (
        "package 'shipped_five', to be shipped to executors: wanted modules of Python alone, because Python imports no "
        f"compiled one from a zip; found shipped_five/fast.so. {NEXT}"
    )


def test_a_package_that_is_too_large_is_refused_with_its_largest_file(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "MAX_BYTES", 1_000)
    write(packages, "shipped_six/__init__.py")
    write(packages, "shipped_six/data/all.csv", content="1" * 1_000)

    with pytest.raises(ConfigurationError) as caught:
        shipping.archive("shipped_six", tmp_path)

    assert str(caught.value) == (
        "package 'shipped_six', to be shipped to executors: wanted at most 1,000 bytes of code and data; found 1,006 "
        f"bytes, the largest file being shipped_six/data/all.csv. {NEXT}"
    )


def test_a_package_that_does_not_lie_in_files_is_refused(
    tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(packages, "shipped_seven/__init__.py")
    made = shipping.archive("shipped_seven", tmp_path)
    (packages / "shipped_seven/__init__.py").unlink()
    (packages / "shipped_seven").rmdir()
    monkeypatch.syspath_prepend(made)

    with pytest.raises(ConfigurationError) as caught:
        shipping.archive("shipped_seven", tmp_path)

    assert str(caught.value) == (
        "package 'shipped_seven', to be shipped to executors: wanted files of Python in a directory; found "
        f"{made}/shipped_seven/__init__.py. {NEXT}"
    )
