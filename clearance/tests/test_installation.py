from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from clearance import embedded

ROOT = embedded.ROOT
NEWER = "9999"


@dataclass(frozen=True)
class Wheel:
    """A wheel with nothing in it but what it needs; for every Python and machine."""

    name: str
    version: str
    needs: str = ""  # lines of METADATA

    def build(self, folder: Path) -> Path:
        stem = f"{self.name.replace('-', '_')}-{self.version}"
        file = folder / f"{stem}-py3-none-any.whl"
        with ZipFile(file, "w") as archive:
            for name, text in {
                "METADATA": f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n{self.needs}",
                "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                "RECORD": "",
            }.items():
                archive.writestr(f"{stem}.dist-info/{name}", text)
        return file


class Index:
    """A folder that pip takes for a package index, and locks of what lies in it."""

    def __init__(self, folder: Path, wheels: Iterable[Wheel]) -> None:
        self.url = (folder / "simple").as_uri()
        self.lines = {}
        for wheel in wheels:
            place = folder / "simple" / wheel.name
            place.mkdir(parents=True, exist_ok=True)
            file = wheel.build(place)
            with (place / "index.html").open("a") as page:
                page.write(f'<a href="{file.name}">{file.name}</a>\n')
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            self.lines[wheel.name, wheel.version] = f"{wheel.name}=={wheel.version} --hash=sha256:{digest}\n"


class Clone:
    """A folder with a lock, whose `.venv` the Makefile of the house makes."""

    def __init__(self, folder: Path, lock: str, index: Index) -> None:
        self.folder = folder
        self.index = index
        (folder / "requirements-dev.txt").write_text(lock)

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ours = {name: value for name, value in os.environ.items() if not re.match("PIP_|MAKE|MFLAGS|PYTHON$", name)}
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": self.index.url, "PIP_NO_CACHE_DIR": "1"}
        return subprocess.run(
            ["make", f"--file={ROOT / 'Makefile'}", "venv", *arguments],
            cwd=self.folder,
            env={**ours, **pip, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def installed(self) -> set[tuple[str, str]]:
        (packages,) = (self.folder / ".venv" / "lib").glob("python*/site-packages")
        found = {(canonicalize_name(d.name), d.version) for d in metadata.distributions(path=[str(packages)])}
        return {(name, version) for name, version in found if name not in {"pip", "setuptools"}}


def locked() -> dict[str, str]:
    """What requirements-dev.txt names for this Python and machine."""
    text = re.sub(r"\\\n", "", (ROOT / "requirements-dev.txt").read_text())
    lines = (Requirement(line.partition(" --hash")[0]) for line in text.splitlines() if re.match(r"\w", line))
    return {
        canonicalize_name(line.name): str(line.specifier).removeprefix("==")
        for line in lines
        if line.marker is None or line.marker.evaluate()
    }


def needs_of(name: str) -> str:
    """What the installed package says it needs, among it extras such as `coverage[toml]`."""
    headers = metadata.metadata(name)
    kinds = ("Provides-Extra", "Requires-Dist")
    return "".join(f"{kind}: {line}\n" for kind in kinds for line in headers.get_all(kind, ()))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Everything that is locked, as it is, and of everything a version that was released since."""
    wheels = [
        Wheel(name, version, needs_of(name)) for name, locked_one in locked().items() for version in (locked_one, NEWER)
    ]
    return Index(tmp_path_factory.mktemp("index"), wheels)


class TestTheVirtualEnvironment:
    def test_is_what_the_lock_names_whatever_was_released_since_and_is_made_once(self, index, tmp_path):
        assert any("[" in line for name in locked() for line in needs_of(name).splitlines())  # extras are the hard part
        clone = Clone(tmp_path, "".join(index.lines[one] for one in locked().items()), index)

        done = clone.make(f"PYTHON={sys.executable}")

        assert done.returncode == 0, done.stdout
        assert clone.installed() == set(locked().items())
        assert clone.make().stdout == clone.make(PYTHON=sys.executable).stdout == ""

    def test_is_made_anew_with_nothing_of_the_one_before_and_refused_while_the_lock_misses_something(
        self, index, tmp_path
    ):
        clone = Clone(tmp_path, index.lines["django", locked()["django"]], index)
        before = tmp_path / ".venv" / "of-the-one-before"
        before.parent.mkdir()
        before.touch()

        done = clone.make(PYTHON=sys.executable)

        assert done.returncode != 0
        assert re.search("django .* requires sqlparse, which is not installed", done.stdout)
        assert not before.exists()
        assert not (tmp_path / ".venv" / "installed").exists()

    @pytest.mark.parametrize("given", [["PYTHON=no-such-python"], ["PYTHON="], ["PYTHON=false"]])
    def test_says_which_python_it_needs(self, index, tmp_path, given):
        done = Clone(tmp_path, "", index).make(*given)

        assert done.returncode != 0
        assert "Clearance needs Python 3.11 or newer" in done.stdout
        assert not (tmp_path / ".venv").exists()


class TestEveryInstallation:
    def test_in_the_makefile_and_in_the_image_goes_by_the_lock_alone(self):
        commands = [*pip_in("Makefile"), *pip_in("Dockerfile")]

        installs = [words for words in commands if "install" in words]
        assert len(installs) == 2
        for words in installs:
            assert {"--no-deps", "--require-hashes", "--only-binary", ":all:"} <= words
        assert len([words for words in commands if "check" in words]) == 2


def pip_in(file: str) -> list[set[str]]:
    """The words of each command in the file that calls pip."""
    text = (ROOT / file).read_text().replace("\\\n", " ")
    return [set(shlex.split(command)) for command in re.findall(r"\bpip (?!in\b)[^&|;)\n]*", text)]
