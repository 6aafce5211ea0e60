"""A result in a notebook: it shows itself, with the text it was made of, which it gives away nowhere else."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
from IPython.core.formatters import HTMLFormatter

import parsnlp
from parsnlp.errors import InputError
from parsnlp.interfaces import notebook
from parsnlp.models import Note, Result

TEXT = "CT: L5 pars defects 🙂 <b>&\nNo slip."


@pytest.fixture(scope="module")
def result() -> Result:
    return parsnlp.load().extract(Note(text=TEXT, id="n"))


def test_a_notebook_shows_the_evidence_view_with_the_text(result: Result) -> None:
    shown = HTMLFormatter()(result)
    assert shown == notebook.html(result) == notebook.html(result)
    assert "M43.06" in shown and "🙂 &lt;b&gt;&amp;" in shown and "<script" not in shown
    assert re.search(r'<a class="ev-f ev-spondylolysis[^>]*>pars defects</a>', shown)


def test_views_of_two_results_do_not_share_their_links(result: Result) -> None:
    other = parsnlp.load().extract("Spondylolysis of L4.")
    ids = [set(re.findall(r' id="([^"]+)"', notebook.html(each))) for each in (result, other)]
    assert ids[0] and ids[1] and not ids[0] & ids[1]


def test_the_text_is_no_part_of_what_a_result_says(canary: str) -> None:
    made = parsnlp.load().extract(Note(text=f"{canary}. CT: L5 pars defects.", id="n"))
    assert canary in made.texts["n"]
    back = Result.model_validate_json(made.to_json())
    again = pickle.loads(pickle.dumps(made))
    for other in (back, again):
        assert other == made and hash(other) == hash(made) and not other.texts
    assert canary.encode() not in pickle.dumps(made)
    for said in (repr(made), str(made), made.to_json(), str(made.model_dump()), str(Result.model_json_schema())):
        assert canary not in said
    assert copy.copy(made).texts == made.texts
    with pytest.raises(TypeError):
        made.texts["n"] = ""  # type: ignore[index]


def test_a_result_read_back_is_shown_by_quotation_or_with_the_notes(result: Result) -> None:
    back = Result.model_validate_json(result.to_json())
    assert "pars defects" in notebook.html(back) and "🙂" not in notebook.html(back)
    assert notebook.html(back, [Note(text=TEXT, id="n")]) == notebook.html(result)


def test_every_document_of_an_encounter_is_remembered() -> None:
    notes = [Note(text="L5 pars defects.", id="a"), Note(text="No slip.", id="<b>")]
    made = parsnlp.load().extract_encounter(notes)
    assert made.texts == {"a": "L5 pars defects.", "<b>": "No slip."}
    shown = notebook.displacy(made)
    assert "&lt;b&gt;" in shown and "<b>" not in shown


def test_displacy_marks_the_mentions_and_escapes_the_rest(result: Result) -> None:
    shown = notebook.displacy(result)
    assert HTMLFormatter()(shown) == str(shown) and "pars" not in repr(shown)
    labels = re.findall(r"<mark[^>]*>\s*(.*?)\s*<span[^>]*>(.*?)</span>", shown, re.S)
    assert labels == [("pars defects", "spondylolysis"), ("slip", "spondylolisthesis negated")]
    assert "&lt;b&gt;&amp;" in shown and "🙂" in shown
    back = Result.model_validate_json(result.to_json())
    with pytest.raises(InputError, match="give the notes"):
        notebook.displacy(back)
    assert notebook.displacy(back, [Note(text=TEXT, id="n")]) == shown


def test_a_lone_surrogate_does_not_break_what_is_shown() -> None:
    made = parsnlp.load().extract("CT: L5 pars\ud800 defects. L5 pars defect \udfff.")
    for shown in (notebook.html(made), notebook.displacy(made)):
        assert "\ufffd" in shown and shown.encode("utf-8")


def test_the_doc_has_the_findings_and_their_cues() -> None:
    extractor = parsnlp.load()
    text = "Impression: no slip. Possible pars defect at L5."
    doc, made = extractor.nlp(text), extractor.extract(text)
    assert [ent._.finding for ent in doc.ents] == list(made.findings)
    cues = {(cue.text, cue.category, cue.rule) for finding in made.findings for cue in finding.cues}
    assert {(span.text, span.label_, span.id_) for span in doc.spans["cues"]} == cues
    assert len(doc.spans["cues"]) == len(cues) > 1
    assert [section.category for section in doc._.sections] == ["impression"]
