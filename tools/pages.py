"""Writes the source of the documentation site: the documents, and the pages that runs, tests and the program write.

python tools/pages.py FOLDER            the pages, for mkdocs (see mkdocs.yml)
python tools/pages.py --check SITE      fails when a page of the built site would load something from elsewhere
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import typer
import yaml

from parsnlp import explain
from parsnlp.evaluation.figures import proportion, shown
from parsnlp.interfaces import cli, tables

ROOT = Path(__file__).parents[1]
ELSEWHERE = {  # documents that lie outside docs/, and where the site has them
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "corpora/README.md": "corpora.md",
    "patterns/README.md": "rules.md",
    "benchmarks/results/speed.md": "performance.md",
    "benchmarks/results/service.md": "performance.md",
}
_LINK = re.compile(r"\[([^\[\]]+)\]\(([^)#:\s]+)(#[^)\s]*)?\)")
_MARK = re.compile(r"\[\[(.*?)\|[^\]]*\]\]", re.S)


def write(folder: Path) -> None:
    """Write all pages into a new folder."""
    for path in sorted((ROOT / "docs").rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".md":
            _put(folder, str(_page(name)), relinked(path.read_text(encoding="utf-8"), name))
        elif path.suffix == ".png":
            (folder / str(_page(name))).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / str(_page(name)))
    for source, page in ELSEWHERE.items():
        if page != "performance.md":
            _put(folder, page, relinked((ROOT / source).read_text(encoding="utf-8"), source))
    log = (ROOT / "docs/accuracy-log.jsonl").read_text(encoding="utf-8").splitlines()
    cases = yaml.safe_load((ROOT / "tests/policy_cases.yaml").read_text(encoding="utf-8"))
    _put(folder, "policy-examples.md", "\n".join(policy_examples(cases)))
    _put(folder, "accuracy.md", "\n".join(accuracy([json.loads(line) for line in log if line])))
    _put(folder, "performance.md", "\n".join(performance(ROOT / "benchmarks/results")))
    _put(folder, "commands.md", "\n".join(commands()))
    _put(folder, "tables.md", f"# Tables of results\n\n{tables.dictionary()}")
    shutil.copy(ROOT / "benchmarks/results/speed.svg", folder / "speed.svg")


def _put(folder: Path, page: str, text: str) -> None:
    target = folder / page
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text.rstrip() + "\n", encoding="utf-8")


def relinked(text: str, source: str) -> str:
    """A document of the checkout with its links as the site has them; what the site has not is left as words."""

    def to(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[2]))
        page = _page(target)
        if page is None:
            return found[1]
        return f"[{found[1]}]({posixpath.relpath(page, posixpath.dirname(_page(source) or '') or '.')}{found[3] or ''})"

    return _LINK.sub(to, text)


def _page(document: str) -> str | None:
    """The page of a document of the checkout, or the place of a picture, if the site has it."""
    if document.startswith("docs/") and document.endswith((".md", ".png")):
        return posixpath.relpath(document, "docs")
    return ELSEWHERE.get(document)


# --- the coding policy ----------------------------------------------------------------------------------------------


def policy_examples(cases: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Under each policy rule the notes that the tests hold it to, and what comes out."""
    yield "# The policy by example\n"
    yield (
        "Every note is invented; the tests read each of them and expect exactly this (`tests/policy_cases.yaml`). The "
        "rules themselves stand in [the coding policy](policy.md).\n"
    )
    for rule, some in cases.items():
        yield f"## {rule}: {explain.TITLES[rule]}\n"
        for case in some:
            yield from _case(case)


def _case(case: Mapping[str, Any]) -> Iterator[str]:
    about = [str(case[name]) for name in ("setting", "kind") if name in case]
    about += [f"{name}={value}" for name, value in (case.get("policy") or {}).items()]
    name = str(case["id"]).replace("-", " ")
    yield f"**{name}**" + (f" ({', '.join(about)})" if about else "") + "\n"
    for note in case.get("notes") or [case]:
        yield "```text\n" + _MARK.sub(r"\1", note["text"]).strip() + "\n```\n"
    if case.get("claim"):
        yield f"Claimed: {', '.join(case['claim'])}.\n"
    if "codes" in case:
        listed = ", ".join(f"`{code}`" for code in case["codes"])
        yield f"Codes: {listed or 'none'}.\n"
    edits = [f"{edit[0]} on {', '.join(edit[1:])}" for edit in case.get("edits") or ()]
    queries = [str(query) for query in case.get("queries") or ()]
    for name, said in (("Edits", edits), ("Queries", queries)):
        if said:
            yield f"{name}: {'; '.join(said)}.\n"


# --- what runs have written -----------------------------------------------------------------------------------------


def accuracy(log: list[dict[str, Any]]) -> Iterator[str]:
    """Every scoring of notes that nobody has read, in the order of the log, the last of each archive first."""
    last = {entry["archive"]: entry for entry in log}
    yield "# Accuracy on sealed notes\n"
    yield (
        "Written from `docs/accuracy-log.jsonl`, to which `parsnlp evaluate --sealed` adds a line at every scoring. The notes "
        "are invented and nobody who writes rules has read them; [Corpora](corpora.md) tells how they were made, and "
        "what such figures mean.\n"
    )
    yield "## The newest scoring of each archive\n"
    yield "| archive | notes | code set exact | notes with codes | no-code notes kept empty | mentions F1 | assertion |"
    yield "|---|---|---|---|---|---|---|"
    for name, entry in last.items():
        totals = entry["totals"]
        shares = [
            _share(totals.get(key))
            for key in ("codes: exact set", "codes: exact set, notes with codes", "codes: no-code notes kept empty")
        ]
        f1 = shown(totals["mentions: F1"]["f1"])
        yield f"| {name} | {entry['notes']} | {' | '.join(shares)} | {f1} | {_share(totals['assertion on matched mentions'])} |"
    pooled = [entry["totals"]["codes: exact set"] for entry in last.values()]
    yield (
        "\nTogether: "
        + _share({key: sum(each[key] for each in pooled) for key in ("right", "of")})
        + " code sets exact.\n"
    )
    yield "Intervals are Wilson's, at 95 %.\n"
    yield "## Every scoring\n"
    yield (
        "Rules were mended between scorings of one archive, never by its notes; a figure is chosen among as many as there "
        "are lines.\n"
    )
    yield "| archive | rule set | code set exact | remark |"
    yield "|---|---|---|---|"
    for entry in log:
        remark = " ".join(str(entry.get("note") or "").replace("|", "/").split())
        yield f"| {entry['archive']} | `{entry['rule_set']}` | {_share(entry['totals']['codes: exact set'])} | {remark} |"


def _share(counts: Mapping[str, int] | None) -> str:
    if not counts or not counts["of"]:
        return "–"
    share = proportion(counts["right"], counts["of"])
    return f"{share.right}/{share.of}, {shown(share.value)} ({shown(share.low)} to {shown(share.high)})"


def performance(results: Path) -> Iterator[str]:
    """What the benchmarks have written, as it stands."""
    yield "# Performance\n"
    yield "Written by `make bench` and `make bench-service`, which anyone can run.\n"
    yield _lowered((results / "speed.md").read_text(encoding="utf-8"))
    yield "![Notes a second and latency](speed.svg)\n"
    yield _lowered((results / "service.md").read_text(encoding="utf-8"))
    yield "## Length of a text\n"
    yield "Seconds and memory for texts of so many characters, and the exponent of the growth (1: with the length).\n"
    yield f"```text\n{(results / 'scaling.txt').read_text(encoding='utf-8').rstrip()}\n```"


def _lowered(text: str) -> str:
    return re.sub(r"^(#+ )", r"#\1", text, flags=re.M)


# --- the program ----------------------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """The help of every command."""
    yield "# Commands\n"
    yield "What `parsnlp COMMAND --help` says.\n"
    program = typer.main.get_command(cli.app)
    for path, command in _leaves(program, "parsnlp"):
        with typer.Context(command, info_name=path, terminal_width=100, max_content_width=100) as context:
            yield f"## {path.removeprefix('parsnlp ')}\n\n```text\n{command.get_help(context).strip()}\n```\n"


def _leaves(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


# --- the built site -------------------------------------------------------------------------------------------------


class _Loads(HTMLParser):
    """What a browser would fetch to show a page; links to follow are none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        loading = tag == "link" and not {"canonical", "next", "prev", "edit"} & set((given.get("rel") or "").split())
        name = "href" if loading else "src" if tag in ("script", "img", "iframe", "source", "video", "audio") else None
        address = given.get(name or "") or ""
        if re.match(r"(?:[a-z]+:)?//", address):
            self.found.append(f"{tag} {address}")


def loaded_from_elsewhere(site: Path) -> list[str]:
    """Each page or style sheet of a built site with what it would load from another host."""
    found = []
    for page in sorted(site.rglob("*.html")):
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        found += [f"{page.relative_to(site)}: {each}" for each in loads.found]
    for sheet in sorted(site.rglob("*.css")):
        outside = re.findall(r"(?:@import|url\()\s*['\"]?((?:https?:)?//[^'\")]+)", sheet.read_text(encoding="utf-8"))
        found += [f"{sheet.relative_to(site)}: {each}" for each in outside]
    return found


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--check", site]:
            found = loaded_from_elsewhere(Path(site))
            print(*found, sep="\n", end="\n" if found else "")
            return 1 if found else 0
        case [folder]:
            shutil.rmtree(folder, ignore_errors=True)
            write(Path(folder))
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
