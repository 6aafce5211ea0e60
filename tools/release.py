"""Installs what a release holds in clean environments, and runs it there. Needs the network, for pip.

    python tools/release.py DIST        the folder with the wheel and the source archive

Takes each of Python 3.10, 3.11 and 3.12 that PATH leads to; the wheel on all of them, the source archive on the first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSIONS = ("3.10", "3.11", "3.12")
NOTE = "CT: L5 pars defects with anterolisthesis of L5 on S1. No fracture."
SPAWNED = f"""
import multiprocessing, parsnlp

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    results = list(parsnlp.load().pipe([{NOTE!r}] * 40, workers=2))
    assert [code.code for code in results[-1].codes] == ["M43.17", "M43.06"], results[-1].codes
    assert results[0] == parsnlp.load().extract({NOTE!r})
    from importlib.resources import files

    assert files("parsnlp").joinpath("py.typed").is_file() and files("parsnlp").joinpath("patterns").is_dir()
"""


def check(python: str, archive: Path, place: Path) -> str:
    """Install the archive in a new environment and use it from an empty folder; gives what `--version` says."""
    subprocess.run([python, "-m", "venv", place / "venv"], check=True)
    bin = place / "venv" / "bin"
    subprocess.run([bin / "python", "-m", "pip", "--disable-pip-version-check", "-qq", "install", archive], check=True)
    (place / "empty").mkdir()
    (place / "spawned.py").write_text(SPAWNED, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str | Path, given: str | None = None) -> str:
        return subprocess.run(
            command, cwd=place / "empty", env=environment, input=given, capture_output=True, text=True, check=True
        ).stdout

    run(bin / "python", place / "spawned.py")
    assert "M43.17" in run(bin / "parsnlp", "code", "-", given=NOTE)
    assert ", 0 wrong" in run(bin / "parsnlp", "rules", "check")
    return "; ".join(run(bin / "parsnlp", "--version").splitlines())


def _answers(python: str) -> bool:
    """Whether it runs: a version manager may have put a name there that leads nowhere."""
    return subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode == 0


def main(dist: Path) -> int:
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    found = {version: path for version in VERSIONS if (path := shutil.which(f"python{version}")) and _answers(path)}
    for number, (version, python) in enumerate(found.items()):
        for archive in (wheel, source) if number == 0 else (wheel,):
            with tempfile.TemporaryDirectory() as place:
                print(f"Python {version}, {archive.suffix[1:]}: {check(python, archive.resolve(), Path(place))}")
    missing = [version for version in VERSIONS if version not in found]
    if missing:
        print(f"not found, not tried: Python {', '.join(missing)}")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
