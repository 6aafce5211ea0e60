"""CDS Hooks 2.0, requirement by requirement. Each test names the section of the specification that it checks."""

from __future__ import annotations

import base64
import copy
import functools
import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parsnlp
from parsnlp import letters
from parsnlp.evaluation import gold
from parsnlp.interfaces import cds_hooks, fhir
from parsnlp.interfaces.cds_hooks import Feedback, Refused

CORPORA = Path(__file__).parents[2] / "corpora"
SIGN, DISCHARGE = "parsnlp-note-sign", "parsnlp-encounter-discharge"
HOOKS = {SIGN: "org.parsnlp.note-sign", DISCHARGE: "encounter-discharge"}
INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
RICH = (
    "HISTORY: Low back pain.\nCT lumbar spine: bilateral L5 pars defects, chronic, 4 mm anterolisthesis of L5 on S1.\n"
    "Assessment: spondylolysis with spondylolisthesis."
)
OPEN = "Assessment: spondylolysis."
PAYMENT = re.compile(
    r"scrubber|\breject|reimburs|\bpay(?:ment|er|or|s)?\b|\bbill|\bclaim|denial|revenue|insur|\bdrg|\bhcc|\brisk adjust",
    re.I,
)


@functools.cache
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


def document(text: str, id: str | None = "d1", **more: Any) -> dict[str, Any]:
    """A DocumentReference with the text inline."""
    data = base64.b64encode(text.encode()).decode()
    return {
        "resourceType": "DocumentReference",
        **({"id": id} if id else {}),
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain; charset=utf-8", "data": data}}],
        **more,
    }


def searchset(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in resources]}


def request(*documents: dict[str, Any], service: str = SIGN, **more: Any) -> dict[str, Any]:
    """A call as a client makes it, with the documents prefetched."""
    return {
        "hook": HOOKS[service],
        "hookInstance": INSTANCE,
        "context": {"userId": "Practitioner/7", "patientId": "p1", "encounterId": "e1"},
        "prefetch": {"documents": searchset(*documents) if documents else None},
        **more,
    }


def cards(*texts: str) -> list[dict[str, Any]]:
    asked = request(*(document(text, f"d{number}") for number, text in enumerate(texts)))
    made: list[dict[str, Any]] = cds_hooks.cards(SIGN, asked, extractor())["cards"]
    return made


def topics(made: list[dict[str, Any]]) -> list[str]:
    return [card["source"]["topic"]["code"] for card in made]


def refused(asked: object, service: str = SIGN) -> Refused:
    with pytest.raises(Refused) as caught:
        cds_hooks.cards(service, asked, extractor())
    return caught.value


@functools.cache
def answers() -> list[list[dict[str, Any]]]:
    """The cards of every encounter, and every note of the first corpus."""
    rows = [*gold.read_file(CORPORA / "encounters" / "gold.jsonl"), *gold.read_file(CORPORA / "dev" / "gold.jsonl")]
    return [cards(*(note.text for note in row.notes())) for row in rows]


def every_card() -> list[dict[str, Any]]:
    made = [card for answer in answers() for card in answer]
    assert set(topics(made)) == {"codes", "edit", "query", "checklist"}
    return made


def empties(value: Any) -> bool:
    if isinstance(value, dict | list):
        return not value or any(empties(child) for child in (value.values() if isinstance(value, dict) else value))
    return value in (None, "")


# --- use of JSON --------------------------------------------------------------------------------------------------------


def test_use_of_json_nothing_is_null_or_empty() -> None:
    """Use of JSON, null and empty elements: none is null or empty but `cards` itself."""
    assert not empties(cds_hooks.discovery())
    assert not any(empties(card) for card in every_card())


def test_use_of_json_all_is_json() -> None:
    """Use of JSON: what is answered is JSON, whatever the note holds."""
    made = cards("CT: L5 pars\x0bdefects “|<b>*x*</b>”, 😀.")
    assert json.loads(json.dumps(made)) == made and made


# --- discovery ----------------------------------------------------------------------------------------------------------


def test_discovery_is_an_object_of_services() -> None:
    """Discovery, response: an object with the array `services`."""
    assert list(cds_hooks.discovery()) == ["services"]
    assert [each["id"] for each in cds_hooks.discovery()["services"]] == [SIGN, DISCHARGE]


@pytest.mark.parametrize("name", ["hook", "description", "id"])
def test_discovery_required_attributes(name: str) -> None:
    """Discovery, response: `hook`, `description` and `id` are required, strings."""
    assert all(isinstance(each[name], str) and each[name] for each in cds_hooks.discovery()["services"])


def test_discovery_recommended_title() -> None:
    """Discovery, response: `title` is recommended."""
    assert all(each["title"] for each in cds_hooks.discovery()["services"])


def test_discovery_ids_are_path_segments() -> None:
    """Discovery, response: `id` is the last part of the service's URL."""
    assert all(re.fullmatch(r"[a-z0-9-]+", each["id"]) for each in cds_hooks.discovery()["services"])


def test_discovery_no_other_attributes() -> None:
    """Discovery, response: attributes that the specification names, and no other."""
    known = {"hook", "title", "description", "id", "prefetch", "usageRequirements", "extension"}
    assert all(set(each) <= known for each in cds_hooks.discovery()["services"])


def test_discovery_is_the_callers_to_change() -> None:
    cds_hooks.discovery()["services"][0]["prefetch"].clear()
    assert cds_hooks.discovery()["services"][0]["prefetch"]


def test_hook_of_our_own_is_in_reverse_domain_notation() -> None:
    """Hook definition format: an organization's own hook has a reverse domain name, noun before verb."""
    assert HOOKS[SIGN] == cds_hooks.NOTE_SIGN
    assert re.fullmatch(r"[a-z]+\.[a-z]+\.[a-z]+-[a-z]+", HOOKS[SIGN])
    assert {each["id"]: each["hook"] for each in cds_hooks.discovery()["services"]} == HOOKS


# --- prefetch templates -------------------------------------------------------------------------------------------------


def templates() -> list[str]:
    return [each for service in cds_hooks.discovery()["services"] for each in service["prefetch"].values()]


def test_prefetch_templates_are_strings_of_queries() -> None:
    """Prefetch template: a FHIR read or a search of a type, as a string."""
    token = r"\{\{context\.[A-Za-z]+\}\}"
    read, search = rf"[A-Z]\w+/{token}", rf"[A-Z]\w+\?[a-z]+=[A-Za-z/]*{token}(&[a-z]+=[A-Za-z/]*{token})*"
    assert all(re.fullmatch(f"{read}|{search}", each) for each in templates())


def test_prefetch_tokens_are_first_level_fields_of_the_context() -> None:
    """Prefetch tokens: only `context.` and a field that both hooks have and allow as a token."""
    tokens = {token for each in templates() for token in re.findall(r"\{\{(.*?)\}\}", each)}
    assert tokens == {"context.patientId", "context.encounterId"}


def test_prefetch_query_restrictions() -> None:
    """Prefetch query restrictions: no modifiers, chains, includes or prefixes."""
    assert not any(character in each.replace("{{context.", "") for each in templates() for character in (":", ".", "_"))


# --- calling a service --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", [SIGN, DISCHARGE])
def test_call_is_answered_with_cards(service: str) -> None:
    """CDS Service response: an object with the array `cards`, and no `systemActions`."""
    made = cds_hooks.cards(service, request(document(RICH), service=service), extractor())
    assert list(made) == ["cards"] and topics(made["cards"])[0] == "codes"


@pytest.mark.parametrize("name", ["hook", "hookInstance", "context"])
@pytest.mark.parametrize("wrong", ["missing", None, "", 7, [], {}])
def test_call_required_fields(name: str, wrong: Any) -> None:
    """HTTP request: `hook`, `hookInstance` and `context` are required and of their types."""
    asked = request(document(RICH))
    asked[name] = wrong
    if wrong == "missing":
        del asked[name]
    assert refused(asked).status == 400


@pytest.mark.parametrize("body", [None, [], "a", 1, True])
def test_call_body_is_an_object(body: Any) -> None:
    """HTTP request: the body is a JSON object."""
    assert refused(body).status == 400


def test_call_hook_is_the_services() -> None:
    """HTTP request: `hook` is the one for which the service is called."""
    error = refused(request(document(RICH), hook="patient-view"))
    assert error.status == 400 and "patient-view" not in str(error)


@pytest.mark.parametrize("wrong", ["1", "d1577c69dfbe44adba6d3e05e953b2ea", f"{{{INSTANCE}}}", f"urn:uuid:{INSTANCE}"])
def test_call_hook_instance_is_a_uuid(wrong: str) -> None:
    """hookInstance: a UUID."""
    assert refused(request(document(RICH), hookInstance=wrong)).status == 400
    assert cds_hooks.cards(SIGN, request(document(RICH), hookInstance=INSTANCE.upper()), extractor())["cards"]


def test_call_fhir_server_beside_authorization() -> None:
    """HTTP request: `fhirServer` is required where `fhirAuthorization` is given; otherwise both are optional."""
    token = {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "patient/*.read", "subject": "s"}
    assert refused(request(document(RICH), fhirAuthorization=token)).status == 400
    asked = request(document(RICH), fhirAuthorization=token, fhirServer="https://ehr.example.org/fhir")
    assert cds_hooks.cards(SIGN, asked, extractor()) == cds_hooks.cards(SIGN, request(document(RICH)), extractor())


def test_call_unknown_service() -> None:
    """HTTP request: the URL holds the id of a service that discovery lists; 404 for another."""
    assert refused(request(document(RICH)), "nothing-here").status == 404


@pytest.mark.parametrize("service", [SIGN, DISCHARGE])
@pytest.mark.parametrize("name", ["userId", "patientId", "encounterId"])
@pytest.mark.parametrize("wrong", ["missing", None, "", 7])
def test_call_required_context(service: str, name: str, wrong: Any) -> None:
    """Hook library, encounter-discharge, and our own hook: `userId`, `patientId` and `encounterId` are required."""
    asked = request(document(RICH), service=service)
    asked["context"][name] = wrong
    if wrong == "missing":
        del asked["context"][name]
    assert refused(asked, service).status == 400


@pytest.mark.parametrize("name", ["patientId", "encounterId"])
def test_call_context_ids_are_ids(name: str) -> None:
    """Hook library: `patientId` and `encounterId` are ids of FHIR resources, not references."""
    asked = request(document(RICH))
    asked["context"][name] = "Patient/1"
    assert refused(asked).status == 400


@pytest.mark.parametrize("key", ["documents", "reports", "encounter"])
@pytest.mark.parametrize("wrong", [{}, {"resourceType": 7}, [], "a", 7])
def test_call_prefetched_data_are_resources(key: str, wrong: Any) -> None:
    """Prefetch: the value of a key is the FHIR resource that the template asks for."""
    asked = request(document(RICH))
    asked["prefetch"][key] = wrong
    assert refused(asked).status == 400
    asked["prefetch"] = {key: wrong}  # what is malformed is told before what is lacking
    assert refused(asked).status == 400


def test_call_extensions_are_passed_over() -> None:
    """Extensions: a client may add the object `extension` anywhere."""
    asked = request(document(RICH), extension={"com.example.a": 1})
    asked["context"]["extension"] = {"com.example.b": 2}
    assert cds_hooks.cards(SIGN, asked, extractor()) == cds_hooks.cards(SIGN, request(document(RICH)), extractor())


# --- prefetched data ----------------------------------------------------------------------------------------------------


def test_prefetch_lacking_is_412() -> None:
    """Prefetch template: without the data that are needed, and without a FHIR server to call, 412."""
    for asked in (request(), request()):
        del asked["prefetch"]["documents"]
        error = refused(asked)
        assert error.status == 412 and "prefetch.documents" in str(error)
    asked = request()
    del asked["prefetch"]
    assert refused(asked).status == 412
    assert refused({**asked, "fhirServer": "https://ehr.example.org/fhir"}).status == 412  # it is never called


def test_prefetch_null_means_no_data() -> None:
    """Prefetch template: a key that is null has no data; there is nothing to say then."""
    assert cds_hooks.cards(SIGN, request(), extractor()) == {"cards": []}


def test_prefetch_failed_is_as_lacking() -> None:
    """Prefetch template (2.0): a client may give an OperationOutcome for a query that failed."""
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
    asked = request(document(RICH))
    asked["prefetch"]["documents"] = outcome
    assert refused(asked).status == 412
    asked = request(document(RICH))
    asked["prefetch"]["reports"] = outcome
    assert cds_hooks.cards(SIGN, asked, extractor())["cards"]


def test_prefetch_single_page() -> None:
    """Prefetch template: all at once, without a link to a next page; the rest would be missed."""
    asked = request(document(RICH))
    asked["prefetch"]["documents"]["link"] = [{"relation": "self", "url": "a"}]
    assert cds_hooks.cards(SIGN, asked, extractor())["cards"]
    asked["prefetch"]["documents"]["link"] += [{"relation": "next", "url": "b"}]
    assert refused(asked).status == 412


def test_prefetch_resource_or_searchset() -> None:
    """Prefetch template: a resource, or a Bundle of those found; a server's remark among these is passed over."""
    whole = cds_hooks.cards(SIGN, request(document(RICH)), extractor())
    asked = request()
    asked["prefetch"]["documents"] = document(RICH)
    assert cds_hooks.cards(SIGN, asked, extractor()) == whole
    asked["prefetch"]["documents"] = searchset(document(RICH), {"resourceType": "OperationOutcome"})
    assert cds_hooks.cards(SIGN, asked, extractor()) == whole


@pytest.mark.parametrize(
    "given",
    [
        "a", 7, [], {"resourceType": "Patient"}, searchset({"resourceType": "Patient"}),
        {"resourceType": "Bundle", "entry": ["a"]}, {"resourceType": "Bundle", "entry": [{}]},
        {"resourceType": "Bundle", "entry": "a"}, {},
    ],
)  # fmt: skip
def test_prefetch_of_another_kind(given: Any) -> None:
    """Prefetch template: what is given answers the query."""
    asked = request()
    asked["prefetch"]["documents"] = given
    assert refused(asked).status == 400


def test_prefetch_without_inline_text_is_412() -> None:
    """HTTP status codes: 412 where data cannot be had; a text that is only linked to is not fetched."""
    linked = document(RICH)
    linked["content"] = [{"attachment": {"contentType": "text/plain", "url": "https://ehr.example.org/Binary/1"}}]
    assert refused(request(document(OPEN, "d0"), linked)).status == 412


def test_prefetch_reports_are_read_too() -> None:
    """Prefetch template: the key `reports` holds DiagnosticReports, which decide together with the documents."""
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "status": "final",
        "code": {"text": "CT lumbar spine"},
        "presentedForm": document("CT lumbar spine: bilateral L5 pars defects.")["content"][0:1],
    }
    report["presentedForm"] = [report["presentedForm"][0]["attachment"]]  # type: ignore[index]
    asked = request(document(OPEN))
    alone = cds_hooks.cards(SIGN, asked, extractor())["cards"][0]
    asked["prefetch"]["reports"] = searchset(report)
    both = cds_hooks.cards(SIGN, asked, extractor())["cards"][0]
    assert "M43.00" in alone["summary"] and "M43.06" in both["summary"]
    assert "DiagnosticReport/r1" in json.dumps(both["suggestions"])


@pytest.mark.parametrize(
    ("code", "coded"), [("IMP", True), ("ACUTE", True), ("AMB", False), ("OBSENC", False), ("EMER", False)]
)
def test_prefetch_encounter_tells_the_setting(code: str, coded: bool) -> None:
    """Prefetch template: the key `encounter`; a diagnosis in doubt is coded for inpatients only."""
    asked = request(document("Discharge diagnosis: probable spondylolysis at L5.", type={"text": "Discharge summary"}))
    asked["prefetch"]["encounter"] = {
        "resourceType": "Encounter",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code},
    }
    assert ("codes" in topics(cds_hooks.cards(SIGN, asked, extractor())["cards"])) == coded


def test_prefetch_of_another_patient_is_refused() -> None:
    """Security and safety: no card rests on another patient's document."""
    other = document(RICH, subject={"reference": "Patient/p2"})
    error = refused(request(document(OPEN, "d0"), other))
    assert error.status == 400 and "p2" not in str(error)
    for reference in ("Patient/p1", "https://ehr.example.org/fhir/Patient/p1", "Patient/p1/_history/2", "urn:uuid:x"):
        assert cds_hooks.cards(SIGN, request(document(RICH, subject={"reference": reference})), extractor())["cards"]


def test_prefetch_entered_in_error_is_passed_over() -> None:
    """Security and safety: a document withdrawn as entered in error says nothing."""
    assert cds_hooks.cards(SIGN, request(document(RICH, status="entered-in-error")), extractor()) == {"cards": []}


def test_context_note_being_signed() -> None:
    """Our own hook: `context.note` holds the note, stored or not; prefetched documents may stand beside it."""
    asked = request()
    del asked["prefetch"]
    asked["context"]["note"] = document(RICH, None)
    first = cds_hooks.cards(SIGN, asked, extractor())["cards"][0]
    assert first["source"]["topic"]["code"] == "codes"
    asked["prefetch"] = {"documents": searchset(document("CT: no fracture.", "d9"))}
    assert cds_hooks.cards(SIGN, asked, extractor())["cards"][0]["summary"] == first["summary"]


def test_context_note_stands_for_its_stored_state() -> None:
    """Our own hook: the note being signed is read as it is now, not as it was stored, and not twice."""
    asked = request(document("Assessment: L4 spondylolysis.", "d1"))
    asked["context"]["note"] = document("Assessment: no spondylolysis.", "d1")
    assert "codes" not in topics(cds_hooks.cards(SIGN, asked, extractor())["cards"])


@pytest.mark.parametrize("note", ["a", [], {}, {"resourceType": "Patient"}])
def test_context_note_is_a_document(note: Any) -> None:
    """Our own hook: `context.note` is a DocumentReference or a DiagnosticReport."""
    asked = request()
    asked["context"]["note"] = note
    assert refused(asked).status == 400


# --- cards --------------------------------------------------------------------------------------------------------------


def test_no_guidance_is_an_empty_array() -> None:
    """HTTP response: without decision support, an empty array of cards."""
    assert cds_hooks.cards(SIGN, request(document("Seen for a cold.")), extractor()) == {"cards": []}


def test_card_attributes() -> None:
    """Card attributes: those that the specification names, the required ones always."""
    known = {
        "uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "overrideReasons", "links",
    }  # fmt: skip
    for card in every_card():
        assert {"uuid", "summary", "indicator", "source"} <= set(card) <= known


def test_card_summary() -> None:
    """Card attributes: `summary` is one line of fewer than 140 characters."""
    for card in every_card():
        assert 0 < len(card["summary"]) < 140 and "\n" not in card["summary"]


def test_card_summary_is_cut_after_a_word() -> None:
    """Card attributes: `summary` stays short, however much there is to say."""
    made = cds_hooks._short("word " * 40)
    assert len(made) == 139 or made.endswith("word…")
    assert len(cds_hooks._short("x" * 500)) == 139 and cds_hooks._short("a\nb") == "a b"


def test_card_uuid() -> None:
    """Card attributes: `uuid` is a UUID, another for each card and call, the same for a call repeated."""
    for answer in answers():
        ids = [card["uuid"] for card in answer]
        assert len(set(ids)) == len(ids) and all(str(uuid.UUID(id)) == id for id in ids)
    again = request(document(RICH), hookInstance="0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0")
    other = cds_hooks.cards(SIGN, again, extractor())["cards"]
    assert {card["uuid"] for card in other}.isdisjoint(card["uuid"] for card in cards(RICH))
    assert cards(RICH) == cards(RICH)


def test_card_indicator() -> None:
    """Card attributes: `indicator` is info, warning or critical; edits warn, nothing is critical."""
    for card in every_card():
        assert card["indicator"] == ("warning" if card["source"]["topic"]["code"] == "edit" else "info")


def test_card_source() -> None:
    """Source: `label` is required; a `topic` has a code and a system; without a page of ours, no `url` or `icon`."""
    for card in every_card():
        assert set(card["source"]) == {"label", "topic"} and card["source"]["label"] == "parsnlp"
        assert all(isinstance(card["source"]["topic"][name], str) for name in ("code", "system", "display"))


def test_card_detail_is_markdown_without_html() -> None:
    """Card attributes: `detail` is GitHub Flavored Markdown; words of the note are shown literally."""
    detail = cards("CT: L5 pars <b>*defects*</b> bilaterally. Impression: L5 spondylolysis [x](http://a) <img src=x>.")[
        0
    ]["detail"]
    assert not re.search(r"(?<!\\)<", detail) and not re.search(r"\]\(", detail.replace("\\]", ""))


def test_suggestions_come_with_a_selection_behavior() -> None:
    """Card attributes: `selectionBehavior` where there are suggestions: at-most-one or any; here any, none included."""
    for card in every_card():
        assert card.get("selectionBehavior") == ("any" if "suggestions" in card else None)
        assert ("suggestions" in card) == (card["source"]["topic"]["code"] == "codes")


def test_suggestion_attributes() -> None:
    """Suggestion: `label` is required; `uuid` is its own; none is recommended before another."""
    for card in every_card():
        ids = [each["uuid"] for each in card.get("suggestions", ())]
        assert len({*ids, card["uuid"]}) == len(ids) + 1
        for each in card.get("suggestions", ()):
            assert set(each) == {"label", "uuid", "actions"} and each["label"]


def test_action_attributes() -> None:
    """Action: `type`, `description`; to create, the whole new `resource`."""
    for card in every_card():
        for action in (action for each in card.get("suggestions", ()) for action in each["actions"]):
            assert set(action) == {"type", "description", "resource"} and action["type"] == "create"
            assert action["resource"]["resourceType"] == "Condition" and action["description"]


def test_action_creates_a_provisional_condition_of_the_context() -> None:
    """Action: the Condition is provisional, of the patient and encounter, and R4B's class accepts it."""
    from fhir.resources.R4B.condition import Condition

    (card,) = [card for card in cards(RICH) if "suggestions" in card]
    for suggestion, code in zip(card["suggestions"], extractor().extract(RICH).codes, strict=True):
        (action,) = suggestion["actions"]
        resource = action["resource"]
        Condition.model_validate(copy.deepcopy(resource))
        assert resource["code"]["coding"][0]["code"] == code.code and code.code in suggestion["label"]
        assert resource["verificationStatus"]["coding"][0]["code"] == "provisional"
        assert resource["subject"] == {"reference": "Patient/p1"} and resource["encounter"] == {
            "reference": "Encounter/e1"
        }


def test_action_refers_only_to_what_the_client_has() -> None:
    """Action: evidence refers to the client's documents; of a note that is not stored there is none to refer to."""
    stored = json.dumps(cards(RICH))
    assert '"reference": "DocumentReference/d0"' in stored and "urn:uuid:" not in stored
    asked = request()
    asked["context"]["note"] = document(RICH, None)
    (first, *_) = cds_hooks.cards(SIGN, asked, extractor())["cards"]
    resource = first["suggestions"][0]["actions"][0]["resource"]
    assert "evidence" not in resource and "urn:uuid:" not in json.dumps(resource)


def test_override_reasons() -> None:
    """Reasons for rejecting a card: each a Coding with `code`, `system` and, required here, `display`."""
    for card in every_card():
        codes = [reason["code"] for reason in card["overrideReasons"]]
        assert len(set(codes)) == len(codes) >= 2
        for reason in card["overrideReasons"]:
            assert set(reason) == {"code", "system", "display"} and all(reason.values())


# --- which cards --------------------------------------------------------------------------------------------------------


def test_one_card_for_all_codes() -> None:
    """One card names the codes of the encounter, each with its reason and the words it rests on."""
    for answer in answers():
        assert topics(answer).count("codes") <= 1 and topics(answer).count("checklist") <= 1
    card = cards(RICH)[0]
    assert card["summary"] == "2 candidate ICD-10-CM codes: M43.17, M43.06"
    assert card["detail"].splitlines()[0] == (
        "- **M43.17** Spondylolisthesis, lumbosacral region (suggested): spondylolisthesis affirmed "
        "(impression) at L5-S1 (imaging). Evidence: “anterolisthesis”, “spondylolisthesis”, “L5 on S1”"
    )


def test_a_card_for_each_edit_and_query() -> None:
    """An edit warns; a query asks; a tip is no card; what the checklist misses stands in one."""
    result = extractor().extract(RICH)
    made = cards(RICH)
    queries = [query for query in result.queries if query.severity == "query"]
    assert topics(made) == ["codes", *["edit"] * len(result.edits), *["query"] * len(queries), "checklist"]
    assert [card["summary"] for card in made if card["source"]["topic"]["code"] == "query"] == [q.says for q in queries]
    missing = [item for item in result.checklist if item.state == "missing"]
    assert missing and all(item.says.rstrip("?") in made[-1]["detail"] for item in missing)
    tips = "Assessment: chronic unilateral L5 spondylolysis. Brace for 3 months."
    assert [query.severity for query in extractor().extract(tips).queries] == ["tip"] and "query" not in topics(
        cards(tips)
    )


def test_a_question_too_long_gives_its_title() -> None:
    """Card attributes: a question of 140 characters and more stands in `detail`, its neutral title in `summary`."""
    long = [
        card
        for card in every_card()
        if card["summary"] not in card["detail"].replace("\\", "") and "query" in topics([card])
    ]
    assert long and all("?" not in card["summary"] and "?" in card["detail"] for card in long)


def test_queries_keep_to_compliant_practice() -> None:
    """Cards that ask hold no code, nothing of payment, and the options that the query has, a way out among them."""
    for card in every_card():
        if "query" in topics([card]):
            assert not letters.FORBIDDEN.search(card["summary"] + card["detail"])
            if "\n- other" in card["detail"]:
                assert re.search(r"unable to determine", card["detail"])


def test_no_card_speaks_of_payment() -> None:
    for card in every_card():
        words = json.dumps({name: card[name] for name in ("summary", "detail", "overrideReasons")}, ensure_ascii=False)
        assert not PAYMENT.search(re.sub("“.*?”", "", words)), words


def test_the_extractors_policy_holds() -> None:
    strict = cds_hooks.cards(SIGN, request(document(RICH)), parsnlp.load(excludes1="strict"))["cards"]
    assert strict[0]["summary"] == "Candidate ICD-10-CM code: M43.17" and "edit" not in topics(strict)


def test_what_the_extractor_refuses_is_told() -> None:
    asked = request(document(RICH, date="1999-01-01T00:00:00Z"))
    with pytest.raises(Refused, match="strict release") as caught:
        cds_hooks.cards(SIGN, asked, parsnlp.load(strict_release=True))
    assert caught.value.status == 400


# --- feedback -----------------------------------------------------------------------------------------------------------

CARD, SUGGESTION = "4e0a3a1e-3283-4575-ab82-028d55fe2719", "e56e1945-20b3-4393-8503-a1a20fd73152"
AT = "2026-05-12T14:30:00Z"
ACCEPTED = {"card": CARD, "outcome": "accepted", "acceptedSuggestions": [{"id": SUGGESTION}], "outcomeTimestamp": AT}
OVERRIDDEN = {"card": CARD, "outcome": "overridden", "outcomeTimestamp": AT}


def told(*given: dict[str, Any]) -> tuple[Feedback, ...]:
    return cds_hooks.feedback(SIGN, {"feedback": list(given)})


def not_told(body: object, service: str = SIGN) -> int:
    with pytest.raises(Refused) as caught:
        cds_hooks.feedback(service, body)
    return caught.value.status


def test_feedback_suggestion_accepted() -> None:
    """Suggestion accepted: the card and the ids of the suggestions."""
    assert told(ACCEPTED) == (Feedback(CARD, "accepted", AT, (SUGGESTION,)),)


def test_feedback_overridden_without_reason() -> None:
    """Overridden guidance: an override may come without a reason."""
    assert told(OVERRIDDEN) == (Feedback(CARD, "overridden", AT),)


def test_feedback_overridden_with_reason() -> None:
    """Explicit reject with override reasons: a Coding, with or without a display; ours are among those possible."""
    reason = cards(RICH)[0]["overrideReasons"][0]
    for each in (reason, {name: reason[name] for name in ("code", "system")}):
        assert told({**OVERRIDDEN, "overrideReason": {"reason": each}})[0].reason == reason["code"]


def test_feedback_comment_is_taken_and_not_kept(canary: str) -> None:
    """Explicit reject with override reasons: a comment may stand alone; it may hold anything, so it is not kept."""
    (one,) = told({**OVERRIDDEN, "overrideReason": {"userComment": canary}})
    assert one == Feedback(CARD, "overridden", AT) and canary not in repr(one)


def test_feedback_many_at_once() -> None:
    """Suggestion accepted: feedback on many cards, or one card many times, in one call."""
    assert len(told(ACCEPTED, OVERRIDDEN, ACCEPTED)) == 3


@pytest.mark.parametrize("at", ["2026-05-12T14:30:00.123Z", "2026-05-12T14:30:00+00:00"])
def test_feedback_time_stamp_in_utc(at: str) -> None:
    """Feedback: `outcomeTimestamp` is an ISO time stamp in UTC."""
    assert told({**OVERRIDDEN, "outcomeTimestamp": at})[0].at == at


@pytest.mark.parametrize(
    "body", [None, [], "a", {}, {"feedback": None}, {"feedback": []}, {"feedback": {}}, {"feedback": ["a"]}]
)
def test_feedback_is_an_object_of_an_array(body: Any) -> None:
    """Feedback: an object with the array `feedback`, which is not empty."""
    assert not_told(body) == 400


@pytest.mark.parametrize(
    ("given", "name", "wrong"),
    [
        *((OVERRIDDEN, name, wrong) for name in ("card", "outcome", "outcomeTimestamp") for wrong in ("-", None, "", 7)),
        (OVERRIDDEN, "outcome", "ignored"),
        (OVERRIDDEN, "outcomeTimestamp", "2026-05-12T14:30:00+02:00"),
        (OVERRIDDEN, "outcomeTimestamp", "2026-13-12T14:30:00Z"),
        (OVERRIDDEN, "overrideReason", "a"),
        (OVERRIDDEN, "overrideReason", {"reason": "a"}),
        (OVERRIDDEN, "overrideReason", {"reason": {"code": "a"}}),
        (OVERRIDDEN, "overrideReason", {"reason": {"system": "a"}}),
        (OVERRIDDEN, "overrideReason", {"userComment": 7}),
        *((ACCEPTED, "acceptedSuggestions", wrong) for wrong in ("-", None, [], "a", ["a"], [{}], [{"id": 7}])),
    ],
)  # fmt: skip
def test_feedback_attributes(given: dict[str, Any], name: str, wrong: Any) -> None:
    """Feedback: `card`, `outcome` and `outcomeTimestamp` are required, `acceptedSuggestions` for what is accepted."""
    body = {**given, name: wrong}
    if wrong == "-" and name != "card":
        del body[name]
    if name == "card" and wrong == "-":
        body.pop("card")
    assert not_told({"feedback": [body]}) == 400


def test_feedback_of_an_unknown_service() -> None:
    """Feedback: the endpoint is that of a service which discovery lists; 404 for another."""
    assert not_told({"feedback": [OVERRIDDEN]}, "nothing-here") == 404


# --- whatever is sent ---------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value that may hold something else."""
    children = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [(value, key) for key, _ in children] + [place for _, child in children for place in places(child)]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_is_sent_is_answered_or_refused(data: st.DataObject) -> None:
    """HTTP status codes: cards, or 400 or 412; no other failure, whichever part of a call is something else."""
    asked = request(document(OPEN, subject={"reference": "Patient/p1"}, date=AT))
    asked["prefetch"]["documents"]["link"] = [{"relation": "self", "url": "a"}]
    asked["prefetch"]["encounter"] = {"resourceType": "Encounter", "class": {"system": "s", "code": "AMB"}}
    asked["context"]["note"] = document(RICH, None)
    parent, key = data.draw(st.sampled_from(places(asked)))
    parent[key] = data.draw(JSON)
    try:
        assert list(cds_hooks.cards(SIGN, asked, extractor())) == ["cards"]
    except Refused as error:
        assert error.status in (400, 412)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_feedback_is_sent_is_taken_or_refused(data: st.DataObject) -> None:
    """Feedback: taken, or 400; no other failure."""
    reason = {"reason": {"code": "a", "system": "b"}, "userComment": "c"}
    body = {"feedback": [copy.deepcopy(ACCEPTED), {**OVERRIDDEN, "overrideReason": reason}]}
    parent, key = data.draw(st.sampled_from(places(body)))
    parent[key] = data.draw(JSON)
    try:
        assert all(isinstance(each, Feedback) for each in cds_hooks.feedback(SIGN, body))
    except Refused as error:
        assert error.status == 400


# --- nothing leaks ------------------------------------------------------------------------------------------------------


def test_no_refusal_holds_what_was_sent(canary: str) -> None:
    """Security and safety: no message holds anything of a request, or of a note in it."""
    for name in ("hook", "hookInstance", "fhirServer"):
        asked = request(document(canary), **{name: canary}, fhirAuthorization={})
        asked["context"]["patientId"] = f"{canary} {canary}"
        assert canary not in str(refused(asked))
    for body in (
        request(document(canary), service=DISCHARGE),
        request({"resourceType": canary}),
        request(document(canary, content=[{"attachment": {"data": f"{canary}!", "url": canary}}])),
        request(document(canary, subject={"reference": f"Patient/{canary}"})),
    ):
        assert canary not in str(refused(body))
    for wrong in ({**OVERRIDDEN, "outcome": canary}, {**OVERRIDDEN, "outcomeTimestamp": canary}):
        with pytest.raises(Refused) as caught:
            told(wrong)
        assert canary not in str(caught.value)


def test_conditions_are_those_of_the_bundle() -> None:
    """The Condition to create is the one that `fhir.bundle` gives for the same result."""
    resource = cards(RICH)[0]["suggestions"][0]["actions"][0]["resource"]
    note = parsnlp.Note(text=RICH, id="DocumentReference/d0", encounter="e1")
    made = fhir.bundle(
        extractor().extract_encounter([note]),
        subject="Patient/p1",
        encounter="Encounter/e1",
        sources={note.id: note.id},
    )
    assert resource in [entry["resource"] for entry in made["entry"]]
