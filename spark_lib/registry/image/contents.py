"""What lies in the layers of an image: Python with the shared libraries that it needs, the packages of the service, the
service itself, and the model."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import spark_lib
from spark_lib.errors import ImageError
from spark_lib.registry.image.layers import Entries, Entry, program

#: Where each of them lies.
PACKAGES, SERVICE, MODEL, LIBRARIES = (f"opt/daystone/{name}" for name in ("packages", "service", "model", "lib"))
PYTHON = "usr/local/bin/python3"
#: What the service needs to run a model by ONNX Runtime; and a pickle of a pipeline besides.
OF_ONNX = ("fastapi", "httptools", "numpy", "onnx", "onnxruntime", "pyarrow", "uvicorn", "uvloop")
OF_PICKLES = ("joblib", "pandas", "scikit-learn", "threadpoolctl")

#: Parts of Python that no service needs.
_NOT_OF_PYTHON = frozenset(
    {"site-packages", "dist-packages", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"}
    | {"lib-dynload", "pydoc_data", "__pycache__", "sitecustomize.py", "usercustomize.py"}
)
_NOT_OF_DYNLOAD = re.compile(r"_tkinter|_test|_ctypes_test|xx|nis\.")
#: Parts of packages that are not there to be run, and those that say where they were installed from.
_NOT_OF_PACKAGES = frozenset({"tests", "__pycache__", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
_NOT_RUN = frozenset({".pyc", ".pyi", ".pxd", ".h", ".hpp", ".a", ".lib"})
_USERS = "root:x:0:0::/root:/sbin/nologin\ndaystone:x:1000:1000::/tmp:/sbin/nologin\n"
_GROUPS = "root:x:0:\ndaystone:x:1000:\n"


def architecture() -> str:
    """This machine's kind of processor by the name that images have for it. Raises ImageError on another system than
    Linux, whose packages no container runs."""
    if sys.platform != "linux":
        raise ImageError(
            "image",
            "Linux, whose packages containers run",
            platform.system(),
            "build the image on a machine with Linux",
        )
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def python() -> Entries:
    """Python as it runs here, without its tests and tools, and the users of the image. Its shared libraries are those of
    ``libraries``."""
    standard = Path(sysconfig.get_path("stdlib"))
    compiled = [
        path for directory in sys.path if directory.endswith("lib-dynload") for path in Path(directory).glob("*.so")
    ]
    inside = f"usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}"
    found = {f"{inside}/{name}": Entry(path) for name, path in _of_python(standard)}
    for path in compiled:
        if not _NOT_OF_DYNLOAD.match(path.name):
            found[f"{inside}/lib-dynload/{path.name}"] = Entry(path)
    found[PYTHON] = program(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    return found | {
        "etc/passwd": Entry(_USERS.encode()),
        "etc/group": Entry(_GROUPS.encode()),
        "etc/nsswitch.conf": Entry(b"hosts: files dns\n"),
        "tmp": Entry(None, 0o1777),
    }


def _of_python(directory: Path) -> Iterator[tuple[str, Path]]:
    for above, inside, files in os.walk(directory, followlinks=True):
        # Installed packages lie among the modules of Python, too, and are many.
        inside[:] = [name for name in inside if name not in _NOT_OF_PYTHON and not name.startswith("config-")]
        for name in files:
            path = Path(above, name)
            if name not in _NOT_OF_PYTHON and path.is_file():
                yield path.relative_to(directory).as_posix(), path


def libraries(entries: Entries, own: Iterable[Path]) -> Entries:
    """The shared libraries of this system that programs and libraries among ``entries`` are linked to, but for those below
    ``own`` directories, which are entries themselves. Raises ImageError where they cannot be found out."""
    linked = [
        entry.content
        for path, entry in entries.items()
        if isinstance(entry.content, Path) and (".so" in Path(path).name or path == PYTHON)
    ]
    try:
        done = subprocess.run(["ldd", *map(str, linked)], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ImageError(
            "image",
            "the program ldd of glibc, which names shared libraries",
            "none",
            "set [image] base to another image",
        ) from error
    loaded = re.findall(r"=> (/\S+) \(0x", done.stdout)
    loader = re.findall(r"^\s+(/\S+/ld[-.]\S+) \(0x", done.stdout, re.MULTILINE)
    if not loader:
        raise ImageError(
            "image",
            "the shared libraries of Python, as ldd names them",
            done.stderr.strip().partition("\n")[0] or "none",
            "set [image] base to another image",
        )
    inside = [str(directory.resolve()) for directory in own]
    found = {
        f"{LIBRARIES}/{Path(path).name}": program(Path(path).resolve())
        for path in loaded
        if not any(Path(path).resolve().is_relative_to(directory) for directory in inside)
    }
    return found | {path.lstrip("/"): program(Path(path).resolve()) for path in loader}


def packages(names: Iterable[str]) -> tuple[Entries, dict[str, str]]:
    """The files of installed packages and of all that they require, and the version of each. Raises ImageError for one
    that is not installed, or whose files are not known."""
    found: dict[str, Entry] = {}
    there = required(names)
    for name, installed in there.items():
        if installed.files is None:
            raise ImageError(
                f"package {name}",
                "a package whose files are known, as pip installs it",
                "one without a list of them",
                "install it by pip, into an environment of its own",
            )
        for file in installed.files:
            path = Path(str(installed.locate_file(file)))
            if ".." in file.parts or _NOT_OF_PACKAGES & set(file.parts) or path.suffix in _NOT_RUN:
                continue
            if path.is_file():
                found[f"{PACKAGES}/{file.as_posix()}"] = Entry(path)
    return found, {name: installed.version for name, installed in there.items()}


def roots(packages: Entries) -> set[Path]:
    """The directories in which packages are installed."""
    return {
        entry.content.parents[path.removeprefix(f"{PACKAGES}/").count("/")]
        for path, entry in packages.items()
        if isinstance(entry.content, Path)
    }


def required(names: Iterable[str]) -> dict[str, Distribution]:
    """Packages and all that they require, as they are installed here, by name. A package that is required on another
    system, or by an extra, is left out where it is not installed. Raises ImageError."""
    found: dict[str, Distribution] = {}
    asked = [(name, False) for name in sorted(names)]
    while asked:
        name, is_conditional = asked.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            if is_conditional:
                continue
            raise ImageError(
                "image",
                f"the package {name}, which the service needs",
                "none that is installed",
                'pip install "daystone[rest]"',
            ) from None
        for requirement in found[name].requires or ():
            words, _, marker = requirement.partition(";")
            if "extra" not in marker:
                asked.append((normal_name(re.split(r"[^\w.-]", words.strip())[0]), bool(marker)))
    return dict(sorted(found.items()))


def normal_name(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def service() -> Entries:
    """Daystone's own code that the service runs, without the stages' tasks."""
    directory = Path(spark_lib.__file__).parent
    kinds = {".py", ".css", ".typed", ".properties"}
    return {
        f"{SERVICE}/spark_lib/{path.relative_to(directory).as_posix()}": Entry(path)
        for path in sorted(directory.rglob("*"))
        if path.suffix in kinds and path.is_file()
    }
