"""Formats: the text that a document gives, what it tells of its note, and that hostile ones end in a clear error."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import zipfile
from collections.abc import Mapping
from typing import Any

import docx
import pypdf
import pytest
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parsnlp
from parsnlp.errors import InputError
from parsnlp.extractor import Extractor
from parsnlp.interfaces import formats, reading
from parsnlp.interfaces.formats import common

LINES = (
    "Spine clinic visit",
    "HPI: 16-year-old gymnast, low back pain for 5 months, worse on extension.",
    "CT lumbar spine: chronic bilateral L5 pars defects, 4 mm anterolisthesis of L5 on S1.",
    "Assessment:",
    "Spondylolisthesis L5-S1, grade I, with bilateral L5 spondylolysis.",
    "Plan: brace & physical therapy.",
)
CODES = ["M43.17", "M43.06"]


# --- documents, built by code -----------------------------------------------------------------------------------------


def word(lines: tuple[str, ...] = LINES) -> bytes:
    document = docx.Document()
    for line in lines:
        document.add_paragraph(line)
    return saved(document)


def saved(document: Any) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def pdf(*pages: tuple[str, ...]) -> bytes:
    """A PDF written by hand, a page for each run of lines; an empty run is a page without text."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        shown = " T* ".join(f"({line.translate({40: '[', 41: ']', 92: '/'})}) Tj" for line in lines)
        content = f"BT /F1 10 Tf 14 TL 40 780 Td {shown} ET" if lines else ""
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    body, places = "%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return (
        f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    ).encode("latin-1")


def rtf(lines: tuple[str, ...] = LINES) -> bytes:
    body = "".join(f"\\b0\\fs20 {line}\\par\n" for line in lines)
    return (
        r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Arial;}{\f1\fnil\fcharset2 Symbol;}}"
        r"{\info{\title Draft}}\f0 " + body + "}"
    ).encode("ascii")


def html(lines: tuple[str, ...] = LINES) -> bytes:
    body = "\n".join(f"<p>{line.replace('&', '&amp;')}</p>" for line in lines)
    return f"<!DOCTYPE html><html><head><title>T</title><style>p {{}}</style></head><body>{body}</body></html>".encode()


def cda(body: str, header: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ClinicalDocument xmlns="urn:hl7-org:v3">'
        f"{header}<component>{body}</component></ClinicalDocument>"
    ).encode()


def sections(*pairs: tuple[str, str]) -> str:
    inner = "".join(
        f"<component><section><title>{title}</title><text>{text}</text></section></component>" for title, text in pairs
    )
    return f"<structuredBody>{inner}</structuredBody>"


NARRATIVE = sections(
    ("HPI", "<paragraph>16-year-old gymnast, low back pain, worse on extension.</paragraph>"),
    (
        "Imaging",
        "<paragraph>CT lumbar spine: chronic bilateral L5 pars defects, 4 mm anterolisthesis of L5 on S1.</paragraph>",
    ),
    (
        "Assessment",
        "<list><item>Spondylolisthesis L5-S1, grade I.</item><item>Bilateral L5 spondylolysis.</item></list>",
    ),
)
HEADER = """
<id root="1.2.3" extension="doc-7"/><code code="11488-4" codeSystem="2.16.840.1.113883.6.1"/>
<effectiveTime value="20260512093000-0500"/>
<recordTarget><patientRole><id root="1.2.4" extension="pat-9"/></patientRole></recordTarget>
<author><assignedAuthor><code code="207X00000X" displayName="Orthopaedic Surgery"/></assignedAuthor></author>
<componentOf><encompassingEncounter><id root="1.2.5" extension="enc-3"/>
<code code="IMP" codeSystem="2.16.840.1.113883.5.4"/></encompassingEncounter></componentOf>
"""


def hl7(*segments: str, head: str = "MSH|^~\\&|RIS|H|EHR|H|20260504||ORU^R01|m1|P|2.5.1", end: str = "\r") -> bytes:
    return (end.join((head, *segments)) + end).encode()


def oru(lines: tuple[str, ...] = LINES) -> bytes:
    escaped = (line.replace("&", "\\T\\") for line in lines)
    return hl7(
        "PID|1||pat-9^^^H^MR",
        "PV1|1|O|||||||||||||||||enc-3",
        "OBR|1|o1|f1|72131^CT LUMBAR SPINE^L|||20260504101500|||||||||||||||||CT",
        *(f"OBX|{number}|TX|72131^CT LUMBAR SPINE^L||{line}||||||F" for number, line in enumerate(escaped, 1)),
    )


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def document_reference(data: bytes, media_type: str, **more: object) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11506-3"}]},
        "subject": {"reference": "Patient/9"},
        "date": "2026-05-12T09:30:00-05:00",
        "context": {"encounter": [{"reference": "Encounter/3"}]},
        "content": [{"attachment": {"contentType": media_type, "data": b64(data)}}],
        **more,
    }


def as_json(resource: object) -> bytes:
    return json.dumps(resource).encode()


def plain(lines: tuple[str, ...] = LINES) -> bytes:
    return "\n".join(lines).encode()


def only(data: bytes, ending: str) -> Mapping[str, object]:
    """The one note of a document."""
    (fields,) = formats.documents(data, ending, f"note{ending}")
    return fields


def text_of(data: bytes, ending: str) -> str:
    return str(only(data, ending)["text"])


def unchained(error: InputError) -> bool:
    """Whether a traceback would show no error of a library, which may quote the document."""
    return error.__cause__ is None and (error.__suppress_context__ or error.__context__ is None)


def refused(data: bytes, ending: str) -> str:
    """The message with which a document is refused; it names the file."""
    with pytest.raises(InputError) as caught:
        formats.documents(data, ending, f"note{ending}")
    assert unchained(caught.value)
    message = str(caught.value)
    assert message.startswith(f"note{ending}: ")
    return message.removeprefix(f"note{ending}: ")


# --- every format, from its bytes to its codes ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return parsnlp.load()


WHOLE = {
    "docx": (word(), ".docx"),
    "pdf": (pdf(LINES), ".pdf"),
    "pdf, two pages": (pdf(LINES[:3], LINES[3:]), ".pdf"),
    "rtf": (rtf(), ".rtf"),
    "html": (html(), ".html"),
    "htm": (html(), ".HTM"),
    "cda": (cda(NARRATIVE, HEADER), ".xml"),
    "cda around rtf": (
        cda(f'<nonXMLBody><text mediaType="text/rtf" representation="B64">{b64(rtf())}</text></nonXMLBody>'),
        ".xml",
    ),
    "hl7": (oru(), ".hl7"),
    "hl7 around pdf": (hl7("OBR|1", f"OBX|1|ED|r||^Application^PDF^Base64^{b64(pdf(LINES))}"), ".hl7"),
    "fhir, plain": (as_json(document_reference(plain(), "text/plain")), ".json"),
    "fhir, html": (as_json(document_reference(html(), "text/html")), ".json"),
    "fhir, rtf": (as_json(document_reference(rtf(), "text/rtf")), ".json"),
    "fhir, pdf": (as_json(document_reference(pdf(LINES), "application/pdf")), ".json"),
    "fhir, docx": (as_json(document_reference(word(), "application/octet-stream")), ".json"),
    "fhir, cda": (as_json(document_reference(cda(NARRATIVE), "application/hl7-cda+xml")), ".json"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_document_gives_its_codes_with_spans_into_its_text(name: str, extractor: Extractor) -> None:
    data, ending = WHOLE[name]
    note = reading.note({"id": name, **only(data, ending)})
    result = extractor.extract(note)
    assert [code.code for code in result.codes] == CODES
    assert {finding.text.lower() for finding in result.findings} >= {"pars defects", "anterolisthesis", "spondylolysis"}
    for finding in result.findings:
        assert note.text[finding.start : finding.end] == finding.text
    assert formats.documents(data, ending, "again") == formats.documents(data, ending, "again")


@pytest.mark.parametrize("name", ["docx", "html", "hl7", "fhir, plain"])
def test_lines_come_out_as_they_are(name: str) -> None:
    data, ending = WHOLE[name]
    blank_lines_aside = [line for line in text_of(data, ending).split("\n") if line]
    assert tuple(blank_lines_aside) == LINES


# --- Word -------------------------------------------------------------------------------------------------------------


def test_word_reads_tables_in_their_place_and_headers_once() -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Hill Spine Clinic"
    document.sections[0].footer.paragraphs[0].text = "Page 1"
    document.add_paragraph("Before")
    table = document.add_table(rows=2, cols=2)
    for cell, words in zip(table._cells, ("Level", "Slip", "L5-S1", "grade I"), strict=True):
        cell.text = words
    document.add_paragraph("After\twith tab")
    assert (
        text_of(saved(document), ".docx")
        == "Hill Spine Clinic\n\nBefore\nLevel | Slip\nL5-S1 | grade I\nAfter\twith tab"
    )


def test_a_table_that_lays_out_a_note_keeps_its_lines() -> None:
    document = docx.Document()
    cell = document.add_table(rows=1, cols=1).rows[0].cells[0]
    cell.text = "Assessment:"
    cell.add_paragraph("L5 spondylolysis.")
    inner = cell.add_table(rows=1, cols=2)
    inner.rows[0].cells[0].text, inner.rows[0].cells[1].text = "L5", "pars defect"
    assert text_of(saved(document), ".docx") == "Assessment:\nL5 spondylolysis.\nL5 | pars defect"


def test_deleted_and_hidden_words_are_left_out_inserted_ones_and_text_boxes_kept() -> None:
    document = docx.Document()
    document.add_paragraph("L5 ")._p.append(
        parse_xml(f"<w:ins {nsdecls('w')} w:id='1' w:author='a'><w:r><w:t>pars defect</w:t></w:r></w:ins>")
    )
    paragraph = document.paragraphs[0]
    paragraph._p.append(
        parse_xml(f"<w:del {nsdecls('w')} w:id='2' w:author='a'><w:r><w:delText>no slip</w:delText></w:r></w:del>")
    )
    paragraph.add_run("hidden").font.hidden = True
    box = f"<w:txbxContent {nsdecls('w')}><w:p><w:r><w:t>Grade I slip</w:t></w:r></w:p></w:txbxContent>"
    paragraph._p.append(
        parse_xml(
            f'<w:r {nsdecls("w")} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
            f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r>"
        )
    )
    control = OxmlElement("w:sdt")
    content = OxmlElement("w:sdtContent")
    control.append(content)
    content.append(parse_xml(f"<w:p {nsdecls('w')}><w:r><w:t>In a control</w:t></w:r></w:p>"))
    document.element.body.insert(1, control)
    assert document.element.body[1].tag == qn("w:sdt")
    assert text_of(saved(document), ".docx") == "L5 pars defect\nGrade I slip\nIn a control"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (pdf(LINES), "this is a PDF"),
        (rtf(), "this is an RTF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "under a password"),
        (word()[:-400], "not a Word document (.docx), or a truncated one"),
        (b"Just words", "not a Word document (.docx)"),
        (b"", "is empty"),
        (word(()), "holds no text; if it is a scan or a picture, run OCR first"),
    ],
)
def test_what_is_no_word_document_is_said(data: bytes, says: str) -> None:
    assert says in refused(data, ".docx")


def archive(**parts: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = archive(a=bytes(common.MAX_BYTES // 2 + 1), b=bytes(common.MAX_BYTES // 2 + 1))
    assert len(bomb) < common.MAX_BYTES // 500
    assert "unpacks to more than 64 MiB" in refused(bomb, ".docx")
    assert "not a Word document, or a damaged one" in refused(archive(a=b"x"), ".docx")


def test_entities_of_a_word_document_are_not_expanded() -> None:
    source = zipfile.ZipFile(io.BytesIO(word(("word &here; end",))))
    parts = {name: source.read(name) for name in source.namelist()}
    declared = b'<!DOCTYPE d [<!ENTITY a "boom"><!ENTITY here "&a;&a;&a;">]>'
    head, _, rest = parts["word/document.xml"].partition(b"?>")
    parts["word/document.xml"] = head + b"?>" + declared + rest.replace(b"&amp;here;", b"&here;")
    assert "boom" not in text_of(archive(**parts), ".docx")


# --- PDF --------------------------------------------------------------------------------------------------------------


def test_pages_are_parted_by_a_form_feed() -> None:
    assert text_of(pdf(("one", "two"), ("three",)), ".pdf") == "one\ntwo\fthree"


def test_a_page_without_text_is_told_of_and_a_scan_refused() -> None:
    fields = only(pdf(("L5 pars defect.",), ()), ".pdf")
    assert fields == {
        "text": "L5 pars defect.",
        "notice": "note.pdf: 1 of 2 pages have no text layer (page 2) and were left out",
    }
    assert "has no text layer, as a scan has none; run OCR first" in refused(pdf((), ()), ".pdf")


def encrypted(user: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(LINES)))
    writer.encrypt(user, "owner", algorithm="RC4-128")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def test_a_password_is_asked_for_only_where_reading_needs_one() -> None:
    assert text_of(encrypted(""), ".pdf") == text_of(pdf(LINES), ".pdf")
    assert "under a password" in refused(encrypted("secret"), ".pdf")


@pytest.mark.parametrize("data", [b"%PDF-1.7\nnothing", b"words", pdf(LINES)[:200]])
def test_a_damaged_pdf_is_said(data: bytes) -> None:
    assert "PDF" in refused(data, ".pdf")


def test_too_many_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parsnlp.interfaces.formats.pdf.MAX_PAGES", 2)
    assert "has more than 2 pages" in refused(pdf(("a",), ("b",), ("c",)), ".pdf")


def test_pypdf_says_nothing_and_its_loggers_stay_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("pypdf._reader")
    logger.setLevel(logging.DEBUG)
    try:
        refused(pdf(LINES)[:200], ".pdf")
        assert (logger.level, logging.getLogger("pypdf").level) == (logging.DEBUG, logging.NOTSET)
        assert not [record for record in caplog.records if record.name.startswith("pypdf")]
    finally:
        logger.setLevel(logging.NOTSET)


# --- RTF --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (rb"{\rtf1\ansi Schober\'92s caf\'e9\par L4\emdash L5}", "Schober’s café\nL4—L5"),
        (rb"{\rtf1\ansi\ansicpg1251 \'cf\'ee\'f7\'ea\'e0}", "Почка"),
        (rb"{\rtf1\ansi\uc1 4 \u8805?mm \u-10179?\u-8704?}", "4 ≥mm 😀"),
        (rb"{\rtf1\ansi L5\cell grade I\cell\row}", "L5|grade I|\n"),
        (rb'{\rtf1\ansi {\field{\*\fldinst{HYPERLINK "http://x.example"}}{\fldrslt the scan}}}', "the scan"),
        (rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}{\f1\fcharset204 Cyr;}}\f0 \'e9\f1 \'cf}", "éП"),
        (rb"{\rtf1\ansi a}{\b after the end}", "a"),
        (b"{\\rtf1\\ansi\\ansicpg1252 caf\xe9}", "café"),
    ],
)
def test_rtf_comes_out_as_a_word_processor_shows_it(source: bytes, text: str) -> None:
    assert only(source, ".rtf") == {"text": text}


def test_bytes_that_rtf_does_not_allow_are_told_of() -> None:
    fields = only("{\\rtf1\\ansi café}".encode(), ".rtf")
    assert fields["text"] == "café" and "read as UTF-8" in str(fields["notice"])
    assert "U+FFFD" in str(only(rb"{\rtf1\ansi a\'81}", ".rtf")["notice"])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (rtf()[:-40], "truncated: 1 of its groups are not closed"),
        (b"{\\rtf1 " + b"{" * 5000 + b"}" * 5001, "its groups nest deeper than 200"),
        (b"words", "not an RTF document"),
        (b"{\\rtf1 \\u99999999?}", "a damaged RTF document"),
    ],
)
def test_a_damaged_rtf_is_said(data: bytes, says: str) -> None:
    assert says in refused(data, ".rtf")


@pytest.mark.parametrize(
    "source",
    [
        b"{\\rtf1{\\fonttbl " + b"\\f1 " * 40_000 + b"}x}",
        b"{\\rtf1{\\fonttbl " + b"\\f1\\fcharset0 " * 40_000 + b"}x}",
        b"{\\rtf1" + b'{\\field{\\*\\FLDINST{HYPERLINK "a"}}{\\fldrslt }}' * 40_000 + b"x}",
    ],
)
def test_hostile_rtf_costs_no_more_than_its_length(source: bytes) -> None:
    # As it stands the library takes the cube of the length over its fonts and links: hours for this.
    assert text_of(source, ".rtf").strip() == "x"


# --- HTML -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>a\n  b</p><p>c</p>", "a b\n\nc"),
        ("a<br>b<br/><br>c<br><br><br>d", "a\nb\n\nc\n\nd"),
        ("<div>a</div><div>b <b>bold</b>, c</div>", "a\nb bold, c"),
        ("<ul><li>one<li>two</ul>", "one\ntwo"),
        ("<h2>Impression</h2>L5 &lt; S1 &amp; caf&eacute;&#8217;s", "Impression\n\nL5 < S1 & café’s"),
        ("<pre>\nL4   none\n  L5  slip\n</pre>end", "L4   none\n  L5  slip\nend"),
        ("<title>t</title><script>if (a < b) {}</script><style>p</style>x<!-- c -->y", "xy"),
        ("a<del>old</del><span style='display: none'>b</span><div hidden>c<div>d</div></div>e", "ae"),
        (
            "<table><tr><th>Level<th>Slip<tr><td>L5-S1</td><td>grade <i>I</i></td></tr></table>after",
            "Level | Slip\nL5-S1 | grade I\n\nafter",
        ),
        ("<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr></table>", "a\n\nb\nc"),
        ("<table><tr><td>x<table><tr><td>1<td>2</table>y</td></tr></table>", "x\n\n1 | 2\n\ny"),
        ("<td>loose</td><td>cells</td>", "loose\ncells"),
        ("<![if !supportLists]>1.<![endif]> L5<?xml x?>", "1. L5"),
        ("half a tag <b", "half a tag <b"),
        ("an open comment <!-- L5", "an open comment <!-- L5"),
        ("a&nbsp;b", "a\xa0b"),
    ],
)
def test_html_comes_out_as_a_browser_copies_it(source: str, text: str) -> None:
    assert only(source.encode(), ".html") == {"text": text}


def test_a_declared_charset_counts_and_another_is_told_of() -> None:
    assert only("<meta charset='windows-1251'><p>Почка".encode("cp1251"), ".html") == {"text": "Почка"}
    assumed = only("<p>café".encode("cp1252"), ".html")
    assert assumed["text"] == "café" and "assumed windows-1252" in str(assumed["notice"])
    wrong = only(b"<meta charset=utf-8><p>caf\xe9", ".html")
    assert wrong["text"] == "café" and "not in the charset it declares" in str(wrong["notice"])
    assert text_of(b"<meta charset='utf-16'><p>words", ".html") == "words"


def test_html_that_hides_all_that_follows_is_refused() -> None:
    assert "such as a script, is never closed" in refused(b"<p>HPI</p><script><p>L5 pars defect", ".html")
    assert "such as a script, is never closed" in refused(b"<p>HPI</p><div hidden><div></div><p>L5", ".html")


@pytest.mark.parametrize(
    "piece", [b"<!--", b"<!", b"<a ", b"<![CDATA[", b"<!-->", b"<table><tr><td>", b"<a x='", b"</"]
)
def test_malformed_html_costs_no_more_than_its_length(piece: bytes) -> None:
    # Without `_bare` the parser takes the square or the cube of the length: hours for this.
    assert text_of(b"<p>start</p>" + piece * 30_000, ".html").startswith("start")


# --- C-CDA ------------------------------------------------------------------------------------------------------------


def test_the_header_of_a_c_cda_tells_of_its_note() -> None:
    fields = only(cda(NARRATIVE, HEADER), ".xml")
    assert {name: value for name, value in fields.items() if name != "text"} == {
        "id": "doc-7",
        "kind": "consult",
        "date": "2026-05-12",
        "author": "Orthopaedic Surgery",
        "patient": "pat-9",
        "encounter": "enc-3",
        "setting": "inpatient",
    }


def test_the_narrative_of_a_c_cda_is_laid_out() -> None:
    table = (
        "<table><thead><tr><th>Problem</th><th>Status</th></tr></thead>"
        "<tbody><tr><td>L5-S1 slip</td><td><content>Active</content></td></tr></tbody></table>"
    )
    text = text_of(
        cda(
            sections(
                ("Problems", table),
                ("Plan", 'Brace.<br/>PT.<content revised="delete">Surgery.</content> Recheck'),
                ("Note", "First line\nsecond line"),
                ("Outer</title><text>o</text><component><section><title>Inner", "i</text></section></component><text>"),
            )
        ),
        ".xml",
    )
    assert text == (
        "Problems\n\nProblem | Status\nL5-S1 slip | Active\n\nPlan\nBrace.\nPT. Recheck\n\n"
        "Note\nFirst line\nsecond line\n\nOuter\no\n\nInner\ni"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<a><b></a>", "not well-formed XML"),
        (cda(NARRATIVE)[:-30], "not well-formed XML, or truncated"),
        (b"<note>L5</note>", "not a C-CDA"),
        (cda(NARRATIVE).replace(b"urn:hl7-org:v3", b"urn:other"), "not a C-CDA"),
        (cda("<structuredBody/>"), "a C-CDA without narrative"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]>' + cda(NARRATIVE)[38:], "declares a DTD or entities"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + cda(NARRATIVE)[38:], "declares a DTD or entities"),
        (cda("<a>" * 5000 + "</a>" * 5000), "nest deeper than 200"),
        (cda('<nonXMLBody><text><reference value="http://x"/></text></nonXMLBody>'), "by an address only"),
        (cda('<nonXMLBody><text representation="B64">!!</text></nonXMLBody>'), "base64 is damaged"),
        (
            cda(f'<nonXMLBody><text mediaType="image/tiff" representation="B64">{b64(b"II*")}</text></nonXMLBody>'),
            "a picture or a recording",
        ),
    ],
)
def test_what_is_no_c_cda_with_narrative_is_said(data: bytes, says: str) -> None:
    assert says in refused(data, ".xml")


# --- HL7 v2 -----------------------------------------------------------------------------------------------------------


def test_the_segments_of_a_report_tell_of_its_note() -> None:
    fields = only(oru(), ".hl7")
    assert {name: value for name, value in fields.items() if name != "text"} == {
        "id": "f1",
        "kind": "radiology",
        "date": "2026-05-04",
        "encounter": "enc-3",
        "patient": "pat-9",
        "setting": "outpatient",
    }


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_an_mdm_message_is_one_note(end: str) -> None:
    data = hl7(
        "PV1|1|I",
        "OBR|1",
        "TXA|1|OP|TX|20260511||||||||d77",
        "OBX|1|TX|||Line one~Line two",
        "OBR|2",
        "OBX|2|FT|||Three\\.br\\4 \\T\\ 5 \\F\\ \\S\\ \\R\\ \\E\\ \\H\\x\\N\\ \\X41C3A9\\ L4\\L5 \\.sp2\\end",
        head="MSH|^~\\&|T|H|||20260511||MDM^T02|m2|P|2.5",
        end=end,
    )
    assert only(data, ".hl7") == {
        "text": "Line one\nLine two\nThree\n4 & 5 | ^ ~ \\ x Aé L4\\L5 \n\nend",
        "id": "d77",
        "kind": "operative",
        "date": "2026-05-11",
        "setting": "inpatient",
    }


def test_messages_of_a_batch_and_reports_of_a_message_are_notes_of_their_own() -> None:
    lab = "MSH|^~\\&|||||||ADT^A08|m9|P|2.5"
    data = hl7(
        "OBR|1||a",
        "OBX|1|TX|||CT: L5 pars defect.",
        "OBR|2||b",
        "OBX|1|TX|||MRI: no slip.",
        "OBX|2|NM|||4",
        "NTE|1||aside",
        lab,
        "PID|1||p",
        "BTS|2",
        "FTS|1",
        head="FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|RIS||||||ORU^R01|m1|P|2.5",
    )
    first, second = formats.documents(b"\x0b" + data + b"\x1c\r", ".hl7", "b.hl7")
    assert (first["id"], first["text"]) == ("a", "CT: L5 pars defect.")
    assert (second["id"], second["text"]) == ("b", "MRI: no slip.")
    assert first["notice"] == "b.hl7: left out 1 of 3: message 2 has no OBX segment"
    assert "left out 2 segments that are not text" in str(second["notice"])


def test_separators_and_charset_of_the_header_are_honoured() -> None:
    head = "MSH#*!?%#A" + "#" * 15 + "8859/1"
    data = "\r".join((head, "PID#1##p7*x", "OBR#1##r", "OBX#1#TX#c##naïve ?T? a ?S? b!2")).encode("latin-1")
    assert only(data, ".hl7") == {"text": "naïve % a * b\n2", "id": "r", "patient": "p7"}


def test_observations_of_several_names_stand_under_them() -> None:
    data = hl7(
        "OBR|1",
        "OBX|1|TX|a^Findings||L5 pars defects.",
        "OBX|2|TX|a^Findings||Slip of 4 mm.",
        "OBX|3|TX|b^Impression||IMPRESSION: spondylolysis L5.",
        "OBX|4|CWE|c^Diagnosis||M43.06^Spondylolysis, lumbar^I10C",
    )
    assert text_of(data, ".hl7") == (
        "Findings:\nL5 pars defects.\nSlip of 4 mm.\nIMPRESSION: spondylolysis L5.\n\nDiagnosis:\nSpondylolysis, lumbar"
    )


def test_separators_that_the_header_leaves_out_are_the_usual_ones() -> None:
    data = hl7("OBR|1", "OBX|1|TX|||L4 \\T\\ L5", "BTS and more", head="MSH|^~|A", end="\n")
    assert text_of(data, ".hl7") == "L4 & L5\nBTS and more"


def test_a_line_that_is_no_segment_continues_the_one_before() -> None:
    assert text_of(hl7("OBR|1", "OBX|1|TX|||IMPRESSION:", "", "L5 pars defect.", "", end="\n"), ".hl7") == (
        "IMPRESSION:\n\nL5 pars defect."
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"words", "not HL7 v2"),
        (b"OBX|1|TX|||x\rMSH|^~\\&|", "not HL7 v2"),
        (b"MSH", "not HL7 v2"),
        (b"MSH|", "does not say its separators"),
        (b"MSH|^^^^|A", "does not say its separators"),
        (b"MSH\x9a^~\\&\x9aA", "does not say its separators"),
        (hl7("PID|1"), "message 1 has no OBX segment"),
        (hl7("OBR|1", "OBX|1|NM|||4"), "has no OBX segment with text"),
        (hl7("OBR|1", "OBX|1|RP|||http://x"), "by an address only, and nothing is fetched"),
        (hl7("OBR|1", "OBX|1|ED|||^Image^JPEG^Hex^00"), "not in base64"),
        (hl7("OBR|1", "OBX|1|ED|||^Application^PDF^Base64^$$$$"), "base64 is damaged or truncated"),
    ],
)
def test_what_is_no_hl7_report_is_said(data: bytes, says: str) -> None:
    assert says in refused(data, ".hl7")


# --- FHIR -------------------------------------------------------------------------------------------------------------


def test_a_document_reference_tells_of_its_note() -> None:
    assert only(as_json(document_reference(b"L5 pars defect.", "text/plain")), ".json") == {
        "text": "L5 pars defect.",
        "id": "DocumentReference/d1",
        "kind": "progress",
        "date": "2026-05-12",
        "encounter": "Encounter/3",
        "patient": "Patient/9",
    }


def test_of_several_formats_the_most_exact_that_can_be_read_is_taken() -> None:
    forms = [("application/pdf", pdf(("from pdf",))), ("text/html", b"<p>from html"), ("image/png", b"\x89PNG")]
    content = [{"attachment": {"contentType": kind, "data": b64(data)}} for kind, data in forms]
    assert formats.documents_of_resource(document_reference(b"", "", content=content), "r")[0]["text"] == "from html"
    content[1]["attachment"]["data"] = "!"
    assert formats.documents_of_resource(document_reference(b"", "", content=content), "r")[0]["text"] == "from pdf"


def test_the_charset_of_an_attachment_is_honoured() -> None:
    resource = document_reference("naïve".encode("cp1250", "replace") + b"\xb3", "text/plain; charset=windows-1250")
    assert str(formats.documents_of_resource(resource, "r")[0]["text"]).endswith("ł")


def test_a_diagnostic_report_is_read_from_its_form_or_its_narrative() -> None:
    report = {
        "resourceType": "DiagnosticReport",
        "category": [{"coding": [{"system": "http://loinc.org", "code": "LP29684-5"}]}],
        "effectiveDateTime": "2026-05-04",
        "subject": {"identifier": {"value": "mrn-1"}},
        "text": {"div": "<div><p>CT lumbar spine</p><p>L5 pars defects.</p></div>"},
        "conclusion": "Spondylolysis L5.",
    }
    assert formats.documents_of_resource(report, "r") == [
        {
            "text": "CT lumbar spine\n\nL5 pars defects.\n\nCONCLUSION:\nSpondylolysis L5.",
            "kind": "radiology",
            "date": "2026-05-04",
            "patient": "mrn-1",
        }
    ]
    report["conclusion"] = "L5   pars\ndefects."
    assert formats.documents_of_resource(report, "r")[0]["text"] == "CT lumbar spine\n\nL5 pars defects."
    report["presentedForm"] = [{"contentType": "text/plain", "data": b64(b"The form.")}]
    assert formats.documents_of_resource(report, "r")[0]["text"] == "The form."


def test_a_bundle_gives_each_of_its_documents_and_says_what_it_left_out() -> None:
    by_binary = document_reference(b"", "", id="d2", content=[{"attachment": {"url": "Binary/b1"}}])
    by_url = document_reference(b"", "", id="d3", content=[{"attachment": {"url": "https://x.example/1"}}])
    wrong = document_reference(b"x", "text/plain", id="d4", status="entered-in-error")
    composition = {
        "resourceType": "Composition",
        "date": "2026-05",
        "section": [
            {"title": "Assessment", "text": {"div": "<div>L5 spondylolysis</div>"}},
            {"title": "Plan", "section": [{"title": "PT", "text": {"div": "<p>Core work</p>"}}, {"title": "Empty"}]},
        ],
    }
    resources = [
        {"resourceType": "Patient", "id": "9"},
        {"resourceType": "Encounter", "id": "3", "class": {"code": "IMP", "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode"}},
        {"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": b64(b"From the binary.")},
        by_binary, by_url, wrong, composition,
    ]  # fmt: skip
    bundle = {"resourceType": "Bundle", "entry": [{"resource": each} for each in resources]}
    first, second = formats.documents_of_resource(bundle, "b")
    assert (first["id"], first["text"], first["setting"]) == ("DocumentReference/d2", "From the binary.", "inpatient")
    assert second["text"] == "Assessment\nL5 spondylolysis\n\nPlan\n\nPT\nCore work" and "date" not in second
    assert (
        first["notice"]
        == second["notice"]
        == (
            "b: left out 2 of 4: entry 5: its attachment is given by an address only, and nothing is fetched; "
            "put its base64 in 'data'; entry 6: is marked as entered in error"
        )
    )


def nested(depth: int) -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle"}
    return {**bundle, "entry": [{"resource": nested(depth - 1)}]} if depth else bundle


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON, truncated, or nested too deep"),
        (b"[1]", "not a FHIR resource"),
        (b'{"resourceType": "Observation", "id": "o"}', "a FHIR resource of another type"),
        (b'{"resourceType": "Bundle", "entry": 3}', "a FHIR resource of another type"),
        (as_json(nested(9)), "Bundles nest deeper than 3"),
        (as_json(document_reference(b"", "text/plain")), "its attachment has no 'data'"),
        (as_json(document_reference(b"x", "x", content=[])), "without content"),
        (as_json(document_reference(b"\xff\xd8\xff", "image/jpeg")), "a picture or a recording"),
        (as_json({"resourceType": "DiagnosticReport"}), "without a presented form, a conclusion or a narrative"),
        (as_json({"resourceType": "Composition"}), "none of whose sections has a narrative"),
    ],
)
def test_what_is_no_fhir_document_is_said(data: bytes, says: str) -> None:
    assert says in refused(data, ".json")


def test_attachments_are_bounded_one_by_one_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "MAX_ATTACHMENT", 100)
    assert "larger than 0 MiB" in refused(as_json(document_reference(b"x" * 200, "text/plain")), ".json")
    monkeypatch.setattr("parsnlp.interfaces.formats.fhir.MAX_BYTES", 20)
    binary = {"resourceType": "Binary", "id": "b", "data": b64(b"x" * 50)}
    again = document_reference(b"", "", content=[{"attachment": {"url": "Binary/b"}}])
    bundle = {"resourceType": "Bundle", "entry": [{"resource": each} for each in (binary, again, again)]}
    (fields,) = formats.documents_of_resource(bundle, "b")
    assert "the attachments are larger than" in str(fields["notice"])


# --- what holds for all -----------------------------------------------------------------------------------------------


def test_lone_surrogates_which_no_file_can_hold_are_replaced() -> None:
    report = b'{"resourceType": "DiagnosticReport", "conclusion": "L5 \\ud800 slip \\ud83d\\ude00"}'
    assert text_of(report, ".json") == "CONCLUSION:\nL5 \ufffd slip 😀"


def test_the_limits_of_a_file_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "MAX_TEXT", 5)
    assert "its text is longer than 5 characters" in refused(b"<p>too long", ".html")
    monkeypatch.setattr(common, "MAX_DOCUMENTS", 1)
    assert "holds more than 1 notes" in refused(hl7(*("OBR|1", "OBX|1|TX|||x") * 2), ".hl7")
    monkeypatch.setattr(formats, "MAX_BYTES", 5)
    assert "is larger than 0 MiB" in refused(b"<p>too long", ".html")


def test_an_ending_that_is_not_read_is_refused() -> None:
    with pytest.raises(InputError, match=r"'\.odt' is not one of the endings read here: \.docx, \.hl7"):
        formats.documents(b"x", ".odt", "a.odt")


@pytest.mark.parametrize("ending", [".docx", ".pdf", ".rtf", ".xml", ".hl7"])
def test_without_the_extra_the_error_names_it(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in ("docx", "pypdf", "striprtf", "defusedxml", "hl7"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("docx", "pypdf", "striprtf", "striprtf.striprtf", "defusedxml", "hl7"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install 'parsnlp[formats]'" in refused(b"MSH|^~\\&|" if ending == ".hl7" else b"words", ending)
    assert text_of(html(), ".html") and text_of(as_json(document_reference(b"words", "text/plain")), ".json")


def test_every_kind_and_setting_of_the_table_is_one_that_notes_have() -> None:
    from parsnlp.interfaces.formats import codes
    from parsnlp.models import SETTINGS

    tables = codes._tables()
    assert set(tables["kinds"].values()) <= set(reading.KINDS)
    assert set(tables["settings"].values()) == set(SETTINGS)


def canaries(canary: str) -> list[tuple[bytes, str]]:
    """Documents of every format whose text is the canary, whole ones and ones damaged in many ways."""
    words = (canary, f"L5 {canary} pars defect")
    whole = [
        (word(words), ".docx"),
        (pdf(words), ".pdf"),
        (rtf(words), ".rtf"),
        (html(words), ".html"),
        (cda(sections((canary, canary)), HEADER.replace("doc-7", canary)), ".xml"),
        (oru(words), ".hl7"),
        (
            hl7(f"OBR|1||{canary}", f"OBX|1|{canary}|||\\Q{canary}\\ \\Xzz{canary}\\", f"OBX|2|TX|||\\C{canary}\\"),
            ".hl7",
        ),
        (as_json(document_reference(canary.encode(), canary)), ".json"),
        (as_json({"resourceType": canary, "status": canary}), ".json"),
        (as_json(document_reference(b"", canary, content=[{"attachment": {"url": canary, "data": canary}}])), ".json"),
        (b"<x>" + canary.encode() + b"</x>", ".xml"),
        (canary.encode() * 3, ".hl7"),
    ]
    damaged = []
    for data, ending in whole:
        for at in (3, 2, 1):
            damaged.append((data[: len(data) * at // 4], ending))
            half = len(data) * at // 4
            damaged.append((data[:half] + b"\x00<&{\\" + canary.encode() + data[half + 7 :], ending))
    return [*whole, *damaged, *((data, ending) for data, _ in whole for ending in sorted(formats.ENDINGS))]


def test_no_message_holds_the_text(canary: str) -> None:
    refusals = 0
    for data, ending in canaries(canary):
        try:
            found = formats.documents(data, ending, "a-file")
        except InputError as error:
            refusals += 1
            assert canary not in str(error)
            assert unchained(error)
        else:
            assert all(canary not in str(fields.get("notice", "")) for fields in found)
    assert refusals > 50


STARTS = [
    b"",
    b"%PDF-1.4\n",
    b"{\\rtf1 ",
    b"PK\x03\x04",
    b"MSH|^~\\&|",
    b"<ClinicalDocument xmlns='urn:hl7-org:v3'>",
    b"{",
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STARTS), st.binary(max_size=400), st.sampled_from(sorted(formats.ENDINGS)))
def test_any_bytes_give_notes_or_an_input_error(start: bytes, rest: bytes, ending: str) -> None:
    try:
        found = formats.documents(start + rest, ending, "a-file")
    except InputError:
        return
    assert found
    for fields in found:
        assert reading.note(fields).text == fields["text"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_document_damaged_anywhere_gives_notes_or_an_input_error(data: st.DataObject) -> None:
    whole, ending = WHOLE[data.draw(st.sampled_from(sorted(WHOLE)))]
    at = data.draw(st.integers(0, len(whole)))
    cut = data.draw(st.integers(0, 40))
    try:
        found = formats.documents(whole[:at] + data.draw(st.binary(max_size=20)) + whole[at + cut :], ending, "a-file")
    except InputError:
        return
    assert all(reading.note(fields).text == fields["text"] for fields in found)


NAMES = (
    "resourceType", "id", "entry", "resource", "content", "attachment", "data", "url", "contentType", "context",
    "encounter", "type", "category", "coding", "system", "code", "text", "div", "section", "title", "subject",
    "reference", "identifier", "value", "period", "presentedForm", "class",
)  # fmt: skip
RESOURCES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["Bundle", "Encounter/3", "IMP"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["Bundle", "DocumentReference", "DiagnosticReport", "Composition"]), RESOURCES)
def test_any_json_in_a_resource_gives_notes_or_an_input_error(kind: str, inside: object) -> None:
    resource = {**(inside if isinstance(inside, dict) else {"entry": inside}), "resourceType": kind}
    try:
        found = formats.documents_of_resource(resource, "a resource")
    except InputError:
        return
    assert all(reading.note(fields).text == fields["text"] for fields in found)
