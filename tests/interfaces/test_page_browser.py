"""The page in a real browser, headless Chromium: paste, point, decide, reload, crash, export; and who can use it.

PARSNLP_SCREENSHOTS=1 writes the pictures of the documentation anew. Needs Chromium and its driver (Debian: chromium,
chromium-driver).
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from docx import Document
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from parsnlp import evaluation

pytestmark = [pytest.mark.slow, pytest.mark.allow_hosts(["127.0.0.1", "::1"])]

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "images"
PROGRAM = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()"]
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
NOTE = (ROOT / "docs" / "example-note.txt").read_text()
SHORT = "Assessment: L5 spondylolysis. No slip."
HOSTILE = (
    "Dx: L5 spondylolysis <script>window.pwned=1</script> <img src=x onerror=window.pwned=2> "
    "</div></textarea></style><svg onload=window.pwned=3> {{7*7}} Spondylolisthesis\" onfocus=\"window.pwned=4\" of L4 on L5."
)  # fmt: skip
WIDTHS = (1280, 640, 320)  # 640 is a screen of 1280 at 200 %


class Served:
    """`parsnlp serve` in a process of its own, on a port that stays when it is started again."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder, self.arguments = folder, arguments
        self.file = folder / "decisions.sqlite"
        self.printed = (folder / "printed").open("w+")

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", "--port", str(self.port), "--decisions", str(self.file), *self.arguments],
            stdout=self.printed, stderr=self.printed, cwd=self.folder, env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        until(self.is_ready)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, Path(self.printed.name).read_text()
        with contextlib.suppress(OSError), urlopen(f"{self.url}/readyz") as answer:
            return bool(answer.status == 200)
        return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    served = Served(folder, *arguments)
    try:
        served.start()
        yield served
    finally:
        served.kill()
        served.printed.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, "--keep-notes") as found:
        yield found


class Browser:
    """Chromium as a person uses it."""

    def __init__(self, folder: Path) -> None:
        for path, package in ((CHROMIUM, "chromium"), (DRIVER, "chromium-driver")):
            if not path.exists():
                pytest.fail(f"needs {path} (Debian: apt-get install {package})")
        options = Options()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
        self.downloads = folder / "downloads"
        self.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(self.downloads)}
        )
        self.resize(1280)

    def resize(self, width: int, height: int = 900, scale: float = 1) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False},
        )

    def prefer(self, scheme: str, media: str = "") -> None:
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def open(self, url: str) -> None:
        self.driver.get(url)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        self.one(selector).click()

    def press(self, *keys: str) -> None:
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def paste(self, text: str) -> None:
        self.one("#text").click()
        self.driver.execute_cdp_cmd("Input.insertText", {"text": text})

    def point_at(self, element: WebElement) -> None:
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        ActionChains(self.driver).move_to_element(element).perform()

    def codes(self) -> list[str]:
        return [
            str(each) for each in self.run("return [...document.querySelectorAll('.ev-code')].map(e => e.dataset.code)")
        ]

    def decided(self) -> list[str]:
        return [each for each in self.run(
            "return [...document.querySelectorAll('.ev-decided')].map(e => e.textContent)") if each]  # fmt: skip

    def wait(self, holds: Callable[[], object]) -> None:
        def held() -> object:
            # Drawn anew while it was looked at.
            with contextlib.suppress(NoSuchElementException, StaleElementReferenceException):
                return holds()
            return False

        until(held, lambda: f"{self.run('return document.body.innerText')[:800]} {self.logged()}")

    def logged(self) -> list[str]:
        """What the browser complained of: errors of scripts, what a policy refused."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def picture(self, name: str, folder: Path, size: tuple[int, int] = (1120, 720)) -> None:
        """A picture of the window; of the documentation's own only when asked for."""
        target = PICTURES / name if os.environ.get("PARSNLP_SCREENSHOTS") else folder / name
        target.parent.mkdir(exist_ok=True)
        self.run("document.activeElement?.blur?.()")
        self.resize(*size)
        target.write_bytes(base64.b64decode(self.driver.get_screenshot_as_base64()))
        assert 5_000 < target.stat().st_size < 200_000  # neither blank nor a burden to the repository
        assert (PICTURES / name).exists(), f"docs/images/{name} is missing: run with PARSNLP_SCREENSHOTS=1"

    def violations(self) -> list[str]:
        """What axe finds amiss, and whether the page is wider than the window."""
        script = (resources.files("axe_core_python") / "axe.min.js").read_text()
        self.driver.execute_cdp_cmd(
            "Runtime.evaluate", {"expression": script}
        )  # the page's policy runs no inline script
        found = self.driver.execute_async_script("axe.run().then(arguments[0])")
        told = [f"{each['id']}: {node['target']}" for each in found["violations"] for node in each["nodes"]]
        wide = self.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        return told + ([f"scrolls sideways: {wide}"] if wide[0] > wide[1] else [])


def until(holds: Callable[[], object], told: Callable[[], str] = lambda: "", seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited in vain: {told()}"
        time.sleep(0.05)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    made.prefer("light")
    try:
        yield made
        assert made.logged() == []
    finally:
        made.driver.quit()


def lit(browser: Browser) -> list[str]:
    return [str(each) for each in browser.run(
        "return [...document.querySelectorAll('.ev-note .lit')].map(e => e.textContent)")]  # fmt: skip


# --- one note ---------------------------------------------------------------------------------------------------------


def test_paste_point_accept_reload_export(served: Served, browser: Browser, tmp_path: Path) -> None:
    browser.open(served.url)
    browser.paste(NOTE)
    browser.wait(lambda: browser.codes() == ["M43.17", "M43.06"])
    assert browser.one(".ev-code[data-code='M43.06'] .ev-reason").text == (
        "Spondylolysis affirmed (assessment) at L5 (imaging)."
    )
    browser.point_at(browser.one(".ev-code[data-code='M43.06'] .ev-steps li .ev-rule"))
    assert lit(browser) == ["L5"]
    browser.point_at(browser.one(".ev-code[data-code='M43.06'] .ev-steps li:nth-child(2) .ev-rule"))
    assert lit(browser) == ["pars defects", "Spondylolysis"]
    family = browser.one(".ev-note .ev-family")
    browser.point_at(family)
    assert browser.all(".lit-card") == []
    browser.point_at(browser.one(".ev-note .ev-spondylolysis.ev-affirmed:last-of-type, .ev-note .ev-spondylolysis"))
    assert "M43.06" in [each.get_attribute("data-code") for each in browser.all(".lit-card")]
    browser.click(".ev-code[data-code='M43.17'] .ev-q")
    assert browser.run("return document.querySelector(':target').closest('.ev-note') !== null")
    browser.click("[aria-label='Accept M43.17']")
    browser.wait(lambda: browser.decided() == ["Accepted"])
    browser.click("[aria-label='Change… M43.06']")
    browser.press("m4307", Keys.TAB, "the assessment says lumbosacral", Keys.ENTER)
    browser.wait(lambda: browser.decided() == ["Accepted", "Changed to M43.07: the assessment says lumbosacral"])
    browser.open(served.url)  # as after a reload
    browser.wait(lambda: len(browser.decided()) == 2 and browser.codes() == ["M43.17", "M43.06"])
    browser.click("#show-decisions")
    browser.wait(lambda: "50 %" in browser.one("#rates").text)
    for name, form in (("gold.jsonl", "gold"), ("decisions.csv", "csv"), ("decisions.jsonl", "jsonl")):
        browser.click(f"[data-export={form}]")
        browser.wait((browser.downloads / name).exists)
    (row,) = evaluation.gold.read_file(browser.downloads / "gold.jsonl")
    assert (row.text, row.codes) == (NOTE, ("M43.17", "M43.07"))
    assert len((browser.downloads / "decisions.csv").read_text().splitlines()) == 3


def test_codes_follow_as_one_types_and_setting_and_policy_switch_them(served: Served, browser: Browser) -> None:
    browser.open(served.url)
    browser.click("#text")
    browser.press("Discharge diagnosis: ")
    browser.wait(lambda: "No code is suggested" in browser.one("#answer").text)
    browser.press("probable L5 spondylolysis.")
    browser.wait(lambda: "only suspected" in browser.one("#answer").text)
    assert browser.run("return document.activeElement.id") == "text" and browser.codes() == []
    browser.run(
        "arguments[0].value = 'discharge'; arguments[0].dispatchEvent(new Event('change'))", browser.one("#kind")
    )
    browser.one("[name=setting]").send_keys("inpatient")
    browser.wait(lambda: browser.codes() == ["M43.06"])
    browser.click("#clear")
    browser.paste(NOTE)
    browser.wait(lambda: len(browser.codes()) == 2)
    browser.one("[name=excludes1]").send_keys("the slip alone")
    browser.wait(lambda: browser.codes() == ["M43.17"])


def test_a_note_full_of_html_and_script_is_just_text(served: Served, browser: Browser) -> None:
    browser.open(served.url)
    browser.paste(HOSTILE)
    browser.wait(lambda: browser.codes() == ["M43.16", "M43.06"])
    assert browser.one(".ev-note").get_attribute("textContent") == HOSTILE
    assert browser.run("return window.pwned ?? null") is None
    assert browser.all("#answer script, #answer img, #answer svg") == []


def test_files_are_opened_as_documents_of_one_encounter(served: Served, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "ct.txt").write_bytes(b"CT LUMBAR SPINE\r\n\r\nIMPRESSION: bilateral L5 pars defects.\r\n")
    (tmp_path / "visit.txt").write_text("Assessment: spondylolysis. Caf\u00e9.", "cp1252")
    (tmp_path / "scan.pdf").write_bytes(b"%PDF-1.4 \x00")
    browser.open(served.url)
    files = "\n".join(str(tmp_path / name) for name in ("ct.txt", "visit.txt", "scan.pdf"))
    browser.one("#files").send_keys(files)
    browser.wait(lambda: browser.codes() == ["M43.06"])
    browser.wait(lambda: "scan.pdf: " in browser.one("#problem").text)
    assert [each.text for each in browser.all("[role=tab]")] == ["ct", "visit"]
    assert [each.is_displayed() for each in browser.all(".ev-document")] == [True, False]
    browser.one("[role=tab]").send_keys(Keys.ARROW_RIGHT)
    assert [each.is_displayed() for each in browser.all(".ev-document")] == [False, True]
    assert browser.run("return document.activeElement.textContent") == "visit"
    browser.click(".ev-steps a.ev-q")  # evidence in the other document brings it to the front
    assert browser.one(".ev-document").is_displayed()
    browser.click("[aria-label='Accept M43.06']")
    browser.wait(lambda: browser.decided() == ["Accepted"])
    browser.click("#show-decisions")
    browser.click("[data-export=gold]")
    browser.wait((browser.downloads / "gold.jsonl").exists)
    (row,) = evaluation.gold.read_file(browser.downloads / "gold.jsonl")
    assert [each.text for each in row.documents] == [
        "CT LUMBAR SPINE\r\n\r\nIMPRESSION: bilateral L5 pars defects.\r\n", "Assessment: spondylolysis. Café.",
    ]  # fmt: skip
    assert browser.violations() == []


def test_a_word_document_is_read_and_who_decides_is_kept(served: Served, browser: Browser, tmp_path: Path) -> None:
    made = Document()
    made.add_paragraph(SHORT)
    made.save(str(tmp_path / "visit.docx"))
    browser.open(served.url)
    browser.one("#files").send_keys(str(tmp_path / "visit.docx"))
    browser.wait(lambda: browser.codes() == ["M43.06"])
    assert browser.one(".ev-note").get_attribute("textContent").strip() == SHORT
    browser.click("#show-decisions")
    browser.one("#coder").send_keys("A. Coder")
    browser.click("#decisions form button")
    browser.click("[aria-label='Accept M43.06']")
    browser.wait(lambda: browser.decided() == ["Accepted (A. Coder)"])
    browser.open(served.url)
    browser.wait(lambda: browser.decided() == ["Accepted (A. Coder)"])
    browser.click("#show-decisions")
    assert browser.one("#coder").get_attribute("value") == "A. Coder"
    assert browser.violations() == []


def test_everything_can_be_done_by_keyboard(served: Served, browser: Browser) -> None:
    browser.open(served.url)
    browser.press("i")
    browser.driver.execute_cdp_cmd("Input.insertText", {"text": NOTE})
    browser.wait(lambda: len(browser.codes()) == 2)
    browser.press(Keys.ESCAPE, "a")
    browser.wait(lambda: browser.decided() == ["Accepted"])
    focused = "return document.activeElement.dataset.code ?? null"
    assert browser.run(focused) == "M43.06"  # the next on which nothing is decided
    browser.press("k")
    assert browser.run(focused) == "M43.17"
    browser.press("j", "r")
    assert browser.one("[aria-label='Reject… M43.06']").get_attribute("aria-expanded") == "true"
    browser.press(Keys.ENTER)
    assert "Give a reason" in browser.one(".ev-more:not([hidden]) .ev-problem").text
    browser.press("not adopted", Keys.ENTER)
    browser.wait(lambda: browser.decided() == ["Accepted", "Rejected: not adopted"])
    browser.press("t")
    browser.wait(lambda: browser.decided() == ["Accepted"])
    browser.press("+", "M54.50", Keys.ENTER)
    browser.wait(
        lambda: [each.text.split("\n")[0] for each in browser.all(".ev-added li")] == ["Added M54.50 Take back"]
    )
    browser.press("e")
    assert browser.run("return document.activeElement.closest('.ev-note') !== null")
    assert lit(browser) != []
    browser.press("?")
    assert browser.one("#keys").is_displayed()
    browser.press(Keys.TAB)
    browser.run("document.getElementById('single').focus()")
    browser.press(Keys.SPACE, Keys.ESCAPE)
    browser.run("document.querySelector('.ev-code').focus()")
    browser.press("r")
    assert browser.all(".ev-more:not([hidden])") == []  # the keys are off


def test_a_mention_is_marked_as_misread_and_no_code_confirmed(served: Served, browser: Browser) -> None:
    browser.open(served.url)
    browser.paste("MRI: no spondylolysis.")
    browser.wait(lambda: "ruled out" in browser.one("#answer").text)
    browser.click(".ev-note .ev-f")  # leads to what is said of it
    browser.wait(lambda: browser.one(".ev-mentions").get_attribute("open") is not None)
    browser.click("[aria-label^='This is misread']")
    browser.press("it is there", Keys.ENTER)
    browser.wait(lambda: browser.decided() == ["Marked as misread: it is there"])
    browser.click("[data-act=none]")
    browser.wait(lambda: "No code is right" in browser.decided())


def test_a_decision_made_while_the_service_is_down_arrives_when_it_is_back(served: Served, browser: Browser) -> None:
    browser.open(served.url)
    browser.paste(SHORT)
    browser.wait(lambda: browser.codes() == ["M43.06"])
    served.kill()
    browser.click("[aria-label='Accept M43.06']")
    browser.wait(lambda: "Not saved yet" in browser.one("#problem").text)
    served.start()
    browser.wait(lambda: browser.decided() == ["Accepted"])
    assert browser.one("#problem").text == ""
    served.kill()  # what is told as taken outlives the service
    served.start()
    browser.open(served.url)
    browser.wait(lambda: browser.decided() == ["Accepted"])
    assert all("ERR_CONNECTION_REFUSED" in each for each in browser.logged())


def test_with_a_token_the_page_asks_for_it_once(browser: Browser, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o600)
    with serving(tmp_path, "--token-file", str(token)) as served:
        browser.open(served.url)
        browser.paste(SHORT)
        browser.wait(lambda: browser.one("#token").is_displayed())
        browser.press("0123456789abcdef", Keys.ENTER)
        browser.wait(lambda: browser.codes() == ["M43.06"])
        browser.open(served.url)
        browser.wait(lambda: browser.codes() == ["M43.06"])
        assert not browser.one("#token").is_displayed()
    assert all("401" in each for each in browser.logged())


# --- the worklist -----------------------------------------------------------------------------------------------------


def test_the_worklist_is_filtered_walked_and_resumed(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for number in range(1, 8):
        text = SHORT if number % 2 else "Sprained ankle."
        (tmp_path / "notes" / f"n{number}.txt").write_text(NOTE if number == 3 else text)
    subprocess.run(
        [*PROGRAM, "batch", "notes", "--out", "codes.jsonl", "--quiet"],
        cwd=tmp_path, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    with serving(tmp_path, "--results", "codes.jsonl") as served:
        at = lambda: browser.one("#work-at").text  # noqa: E731
        browser.open(served.url)
        browser.wait(lambda: at() == "n1" and browser.codes() == ["M43.06"])
        browser.click("#work-list summary")
        browser.wait(lambda: len(browser.all("#items li")) == 7)
        browser.one("[name=code]").send_keys("M43.06")
        browser.wait(lambda: [each.text for each in browser.all("#items li")] == [
            "n1: M43.06", "n3: M43.17, M43.06", "n5: M43.06", "n7: M43.06"])  # fmt: skip
        browser.press(Keys.TAB)
        browser.run("document.querySelector('.ev-code').focus()")
        browser.press("a")
        browser.wait(lambda: browser.one("#told").text == "All is decided here.")
        browser.press("n")
        browser.wait(lambda: at() == "n3" and len(browser.codes()) == 2)
        browser.open(served.url)
        browser.wait(lambda: at() == "n3" and len(browser.codes()) == 2)
        assert browser.one("[name=code]").get_attribute("value") == "M43.06"
        browser.picture("page-worklist.png", tmp_path)
        served.kill()
        served.start()
        browser.run("document.querySelector('.ev-code').focus()")
        browser.press("a")
        browser.wait(lambda: browser.decided() == ["Accepted"])
        browser.press("n")
        browser.wait(lambda: at() == "n5")
        browser.press("p")
        browser.wait(lambda: at() == "n3")
        browser.press("p")
        browser.wait(lambda: at() == "n1")
        browser.press("p")
        browser.wait(lambda: browser.one("#told").text == "This is the first of the list.")
        browser.click("#work-list summary")
        browser.wait(lambda: [each.text for each in browser.all("#items span")] == ["(done)", "(begun)", "", ""])
        assert browser.violations() == []
    assert all("ERR_CONNECTION_REFUSED" in each for each in browser.logged())


# --- who can use it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_at_any_width(served: Served, browser: Browser, tmp_path: Path, scheme: str) -> None:
    browser.prefer(scheme)
    browser.open(served.url)
    found = {f"{width} empty": (browser.resize(width), browser.violations())[1] for width in WIDTHS}
    browser.resize(1280)
    browser.click("#try")
    browser.wait(lambda: browser.codes() == ["M43.06"])
    browser.picture(f"page-{scheme}.png", tmp_path)
    browser.click("#input summary")
    browser.click("#clear")
    browser.paste(
        f"{NOTE}\nHistory of L4 spondylolysis, healed. Possible spondylolisthesis at L3-4. Acute L2 pars fracture."
    )
    browser.wait(lambda: len(browser.codes()) >= 2)
    browser.click(".ev-decide [data-act=accept]")
    browser.wait(browser.decided)
    for width in WIDTHS:
        browser.resize(width)
        found[f"{width} closed"] = browser.violations()
        browser.run("for (const each of document.querySelectorAll('details')) each.open = true;"
                    "for (const each of document.querySelectorAll('.ev-more')) each.hidden = false;")  # fmt: skip
        found[f"{width} open"] = browser.violations()
        browser.run(
            "document.querySelector('.ev-steps li').dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
        )
        found[f"{width} lit"] = browser.violations()
        for dialog in ("keys", "decisions", "token"):
            browser.run("document.getElementById(arguments[0]).showModal()", dialog)
            found[f"{width} {dialog}"] = browser.violations()
            browser.run("document.getElementById(arguments[0]).close()", dialog)
        browser.run("for (const each of document.querySelectorAll('.ev details')) each.open = false;"
                    "for (const each of document.querySelectorAll('.ev-more')) each.hidden = true;")  # fmt: skip
    assert {what: amiss for what, amiss in found.items() if amiss} == {}


def test_controls_are_large_enough_and_their_focus_is_seen(served: Served, browser: Browser) -> None:
    browser.open(served.url)
    browser.click("#try")
    browser.wait(lambda: browser.codes() == ["M43.06"])
    browser.run("document.getElementById('input').open = true")
    small = browser.run("""return [...document.querySelectorAll("button, select, summary, .button, .ev-q, textarea")]
        .filter((each) => each.checkVisibility()).map((each) => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
        .filter(([, box]) => box.width < 24 || box.height < 24).map(([html]) => html)""")
    assert small == []
    seen = set()
    browser.run("document.body.focus()")
    for _ in range(60):
        browser.press(Keys.TAB)
        at, outline = browser.run("""const e = document.activeElement, s = getComputedStyle(e.closest(".button") ?? e);
            return [e.outerHTML.slice(0, 80), s.outlineStyle === "none" ? 0 : parseFloat(s.outlineWidth)]""")
        assert outline >= 2 or at.startswith("<body"), at
        seen.add(at)
    assert any("Accept M43.06" in each for each in seen) and any("ev-f" in each for each in seen)


def test_on_a_phone(served: Served, browser: Browser, tmp_path: Path) -> None:
    browser.resize(390, 844)
    browser.open(served.url)
    browser.click("#try")
    browser.wait(lambda: browser.codes() == ["M43.06"])
    browser.run("document.querySelector('.ev-code').scrollIntoView()")
    browser.picture("page-phone.png", tmp_path, (390, 844))


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_works_offline_without_a_service(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text(NOTE)
    subprocess.run(
        [*PROGRAM, "code", "--html", "note.html", "note.txt"],
        cwd=tmp_path, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True,
    )  # fmt: skip
    browser.open((tmp_path / "note.html").as_uri())
    browser.point_at(browser.one(".ev-code[data-code='M43.06'] .ev-steps li:nth-child(2) .ev-rule"))
    assert lit(browser) == ["pars defects", "Spondylolysis"]
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        for width in WIDTHS:
            browser.resize(width)
            assert browser.violations() == [], (scheme, width)
    browser.prefer("light", "print")
    browser.resize(794, 1123)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    browser.point_at(browser.one("h1"))
    assert browser.one(".ev-mentions").get_attribute("open") is not None and browser.one(".ev-note").is_displayed()
    browser.picture("page-print.png", tmp_path, (794, 1000))
    pdf = browser.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(pdf))) in range(2, 6)


def test_the_file_works_without_its_script(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text(NOTE)
    subprocess.run(
        [*PROGRAM, "code", "--html", "note.html", "note.txt"],
        cwd=tmp_path, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True,
    )  # fmt: skip
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.open((tmp_path / "note.html").as_uri())
    browser.click(".ev-code[data-code='M43.06'] .ev-q")
    target = browser.one(":target")
    assert target.text == "L5" and target.find_element(By.XPATH, "ancestor::*[@class='ev-note']").is_displayed()
    assert target.value_of_css_property("background-color") == "rgba(255, 226, 122, 1)"  # it is lit
