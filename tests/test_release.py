"""What a release holds: built here from the checkout, without the network. `make release` also installs it elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import parsnlp

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{parsnlp.__version__}"\n' in project
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == parsnlp.__version__ and citation["license"] == "MIT"
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_every_extra_that_a_message_names_is_there() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = re.findall(r"^(\w+) = \[", project.split("[project.optional-dependencies]")[1].split("\n[")[0], re.M)
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"parsnlp\[(\w+)\]", sources))
    assert named <= set(extras) and {"exchange", "notebook", "polars"} <= named


@pytest.mark.slow
def test_wheel_and_source_archive_hold_what_they_should(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    subprocess.run([*build, tmp_path / "dist", ROOT], check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    (source,) = (tmp_path / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    package = ROOT / "src" / "parsnlp"
    expected = {f"parsnlp/{path.relative_to(package).as_posix()}" for path in package.rglob("*") if path.is_file()}
    expected |= {
        f"parsnlp/patterns/{p.relative_to(ROOT / 'patterns').as_posix()}" for p in (ROOT / "patterns").rglob("*.yaml")
    }
    wanted = {name for name in expected if "__pycache__" not in name}
    assert wanted <= set(held) and "parsnlp/py.typed" in held
    assert not [
        name for name in held if re.search(r"corpora|tests|\.txt$|\.jsonl$", name) and ".dist-info/" not in name
    ]
    assert any(name.endswith("licenses/LICENSE") for name in held)
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (folder,) = (tmp_path / "source").iterdir()
    subprocess.run([*build, tmp_path / "again", "--wheel", folder], check=True, capture_output=True)
    with zipfile.ZipFile(next((tmp_path / "again").glob("*.whl"))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == held
