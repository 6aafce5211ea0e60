"""Fuzz the targets guided by coverage (atheris), one process at a time, and note in docs/trust.jsonl what was tried.

    python tests/fuzz/run.py [--seconds N] [--out FOLDER] [TARGET ...]

Each target has `--seconds`. A fault does not end its run: the first input of each kind, and where it was raised, are kept
in FOLDER. Exit status 1 when there is one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONGEST = 20_000  # bytes of an input that the fuzzer makes; what larger ones cost is tested elsewhere
MEMORY = 3_000  # MiB
HANGS = 60  # seconds for one input


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "fuzz", help="where inputs and faults are kept")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    given = parser.parse_args()
    os.environ.update(PARSNLP_CACHE="off", PARSNLP_CODES=os.devnull)
    sys.path[:0] = [str(HERE), str(ROOT / "src"), str(ROOT / "tools")]
    if given.inside:
        fuzz(given.targets[0], given.seconds, given.out / given.targets[0].replace(" ", "-"))
    import targets

    unknown = set(given.targets) - set(targets.TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(targets.TARGETS)}")
    return max([run(name, given.seconds, given.out) for name in given.targets or targets.TARGETS])


def run(name: str, seconds: int, out: Path) -> int:
    """Fuzz one target in a process of its own; 1 when it found a fault."""
    import trust

    begun = time.monotonic()
    command = [sys.executable, __file__, "--inside", "--seconds", str(seconds), "--out", str(out), name]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    folder = out / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.txt").write_text(done.stderr[-20_000:], encoding="utf-8")
    inputs = re.search(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    found = sorted(path.name for path in folder.glob("fault-*.txt")) + (["ended early"] if done.returncode else [])
    trust.add(
        "fuzz", name, inputs=int(inputs[1]) if inputs else 0, seconds=round(time.monotonic() - begun), faults=len(found)
    )
    print(f"{name}: {inputs[1] if inputs else 'no count of'} inputs, faults: {', '.join(found) or 'none'}", flush=True)
    return int(bool(found))


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """Fuzz one target in this process. Does not return."""
    import atheris

    with atheris.instrument_imports(include=["parsnlp"], enable_loader_override=False):
        import targets
    target = targets.TARGETS[name]
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        with contextlib.suppress(Exception):  # what is loaded when first needed is not the input's time
            target.run(seed)
    found = [word for word in dict.fromkeys(target.words()) if 0 < len(word) < 64]
    words = folder / "words.txt"
    words.write_text("".join(f'"{escaped(word)}"\n' for word in found) or '# none\n"\\x00"\n', encoding="ascii")

    def one(data: bytes) -> None:
        try:
            targets.tried(target, data)
        except Exception as error:
            keep(error, data, folder)

    options = [
        f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-rss_limit_mb={MEMORY}", f"-timeout={HANGS}", "-print_final_stats=1",
        "-use_value_profile=0", f"-artifact_prefix={folder}/", f"-dict={words}", str(corpus),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], one, internal_libfuzzer=True)
    atheris.Fuzz()


def keep(error: Exception, data: bytes, folder: Path) -> None:
    """Keep the first input, and the trace, of each kind of fault: its type and the innermost place that is ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "parsnlp" in frame.filename] or frames
    what = str(error) if type(error).__name__ == "Fault" else f"{ours[-1].filename}:{ours[-1].lineno}"
    what = re.sub(r"\d+(\.\d+)? (s|bytes)\b", "N", what)
    kind = hashlib.sha256(f"{type(error).__name__} {what}".encode()).hexdigest()[:12]
    if not (folder / f"fault-{kind}.txt").exists():
        (folder / f"fault-{kind}.bin").write_bytes(data)
        told = "".join(traceback.format_exception(error))
        (folder / f"fault-{kind}.txt").write_text(told, encoding="utf-8", errors="backslashreplace")


def escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02X}" for byte in word)


if __name__ == "__main__":
    raise SystemExit(main())
