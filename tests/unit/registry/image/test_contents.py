"""What lies in the layers: no more than is needed to run, and nothing that says where it came from."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from spark_lib.errors import ImageError
from spark_lib.registry.image import contents
from spark_lib.registry.image.contents import PACKAGES, PYTHON, SERVICE


def test_packages_come_with_all_that_they_require_and_nothing_else() -> None:
    found, versions = contents.packages(["uvicorn"])

    # The last one is required on older versions of Python, and taken along where it is installed.
    assert set(versions) - {"typing-extensions"} == {"uvicorn", "click", "h11"}
    assert versions["uvicorn"] == version("uvicorn")
    assert f"{PACKAGES}/uvicorn/__init__.py" in found
    tops = {path.removeprefix(f"{PACKAGES}/").partition("/")[0] for path in found}
    assert {contents.normal_name(top.partition("-")[0].removesuffix(".py")) for top in tops} == set(versions)


def test_packages_have_no_compiled_code_no_tests_and_no_place_of_installation() -> None:
    found, _ = contents.packages(["numpy", "uvicorn"])

    words = {part for path in found for part in Path(path).parts}
    assert not words & {"__pycache__", "tests", "RECORD", "direct_url.json", "INSTALLER", "..", "bin"}
    assert not [path for path in found if path.endswith((".pyc", ".pyi", ".h", ".a"))]


def test_a_package_that_is_not_installed_is_refused() -> None:
    with pytest.raises(ImageError) as refused:
        contents.packages(["no-such-package"])

    assert str(refused.value) == (
        "image: wanted the package no-such-package, which the service needs; found none that is installed. Next: pip install "
        '"daystone[rest]"'
    )


def test_python_has_its_modules_and_a_user_without_rights() -> None:
    found = contents.python()

    library = f"usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}"
    assert {PYTHON, f"{library}/json/__init__.py", "tmp", "etc/passwd"} <= found.keys()
    assert found[PYTHON].mode == 0o755 and found["tmp"].mode == 0o1777
    assert b"daystone:x:1000:1000" in found["etc/passwd"].content  # type: ignore[operator]  # bytes
    assert not [path for path in found if "/site-packages/" in path or "/test/" in path or path.endswith(".pyc")]


def test_shared_libraries_of_the_system_come_along_and_those_of_packages_do_not() -> None:
    packages, _ = contents.packages(["numpy"])

    found = contents.libraries({**contents.python(), **packages}, contents.roots(packages))

    names = {Path(path).name for path in found}
    assert "libc.so.6" in names and "libstdc++.so.6" in names
    assert any(path.startswith("lib") and "/ld-" in path for path in found)
    assert not [name for name in names if "openblas" in name]


def test_the_service_has_daystones_code_without_its_tasks() -> None:
    found = contents.service()

    assert f"{SERVICE}/spark_lib/rest/standalone.py" in found
    assert all(path.startswith(f"{SERVICE}/spark_lib/") for path in found)
    assert not [path for path in found if path.endswith(".pyc")]


def test_only_linux_has_packages_that_containers_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(
        ImageError, match=r"image: wanted Linux, whose packages containers run; found .*Next: build the"
    ):
        contents.architecture()


def test_a_system_without_ldd_needs_another_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ImageError) as refused:
        contents.libraries(contents.python(), [])

    assert str(refused.value) == (
        "image: wanted the program ldd of glibc, which names shared libraries; found none. Next: set [image] base to another "
        "image"
    )
