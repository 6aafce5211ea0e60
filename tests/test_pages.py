"""The pages of the documentation site: complete, linked among themselves, and true to what they are written from."""

from __future__ import annotations

import importlib.util
import json
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from parsnlp import explain

ROOT = Path(__file__).parents[1]


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "tools" / "pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pages") / "docs"
    assert tool().main([str(made)]) == 0
    return made


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.md")}


def test_the_navigation_names_every_page_once(pages: dict[str, str]) -> None:
    def named(item: Any) -> list[str]:
        if isinstance(item, str):
            return [item]
        return [name for child in (item.values() if isinstance(item, dict) else item) for name in named(child)]

    given = named(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(given) == sorted(pages)


def test_every_link_leads_to_a_page(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        for target in re.findall(r"\]\(([^)#:\s]+\.md)", text):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) in pages, (name, target)
    assert "pip install 'parsnlp[service]'" in pages["index.md"] and "(exchange.md)" in pages["index.md"]


def test_every_picture_is_there(folder: Path, pages: dict[str, str]) -> None:
    shown = [(name, target) for name, text in pages.items() for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)]
    assert shown
    for name, target in shown:
        assert (folder / posixpath.dirname(name) / target).is_file(), (name, target)


def test_every_policy_rule_is_stated_and_has_an_example(pages: dict[str, str]) -> None:
    for rule in explain.TITLES:
        assert re.search(rf"\b{rule}\b", pages["policy.md"]), rule
        section = pages["policy-examples.md"].split(f"## {rule}: ")[1].split("\n## ")[0]
        assert "```text" in section, rule
    assert "[[" not in pages["policy-examples.md"] and "|affirmed" not in pages["policy-examples.md"]


def test_the_accuracy_page_holds_every_line_of_the_log(pages: dict[str, str]) -> None:
    log = [json.loads(line) for line in (ROOT / "docs/accuracy-log.jsonl").open(encoding="utf-8") if line.strip()]
    page = pages["accuracy.md"]
    newest = {entry["archive"]: entry for entry in log}
    head, every = page.split("## Every scoring")
    assert every.count("\n| sealed") == len(log)
    for archive, entry in newest.items():
        counts = entry["totals"].get("codes: exact set")
        if counts and counts["of"]:
            assert f"| {archive} | {entry['notes']} | {counts['right']}/{counts['of']}, " in head


def test_the_commands_page_has_every_command(pages: dict[str, str]) -> None:
    for command in ("batch", "rules diff", "codes import", "export"):
        assert f"\n## {command}\n" in pages["commands.md"]
    assert "Usage: parsnlp rules coverage" in pages["commands.md"]


def test_what_a_page_would_load_from_elsewhere_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.html").write_text(
        '<a href="https://example.org">x</a><link rel="canonical" href="https://example.org"><script src="a.js"></script>',
        encoding="utf-8",
    )
    assert tool().main(["--check", str(tmp_path)]) == 0
    (tmp_path / "bad.html").write_text('<link rel="stylesheet" href="//fonts.example/a.css">', encoding="utf-8")
    (tmp_path / "bad.css").write_text("@import url('https://fonts.example/b.css');", encoding="utf-8")
    assert tool().main(["--check", str(tmp_path)]) == 1
    assert capsys.readouterr().out.split("\n")[:2] == [
        "bad.html: link //fonts.example/a.css",
        "bad.css: https://fonts.example/b.css",
    ]
    assert tool().main([]) == 2
