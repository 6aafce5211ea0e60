"""HL7 v2 messages with text (ORU, MDM and their kin): the OBX segments of each report, joined line by line.

One note for each OBR that has text; for a message with a TXA segment one note in all. Messages may follow each other and
stand in batch wrappers; a line that is no segment continues the one before. Where a report's OBX segments have several
names, such as Findings and Impression, each name stands as a heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from parsnlp.errors import InputError
from parsnlp.interfaces import reading
from parsnlp.interfaces.formats import cda, codes
from parsnlp.interfaces.formats.common import (
    Extracted,
    decode,
    documents_from,
    from_base64,
    iso_date,
    library,
    refusing,
)

_LINE_END = re.compile(rb"\r\n|\r|\n")
_WRAPPER = re.compile(rb"(?:FHS|BHS|BTS|FTS)(?:[^\w\s]|$)")
_HEAD = re.compile(r"MSH(?P<separator>[^\w\s])(?P<others>[^\w\s]{1,5}?)(?P=separator)")
_CHARSETS = re.compile(r"8859/(\d{1,2})")
_TEXT = frozenset(("TX", "FT", "ST"))
_CODED = frozenset(("CE", "CWE", "CNE", "CF"))
_MEDIA = {"html": "text/html", "htm": "text/html", "plain": "text/plain", "text": "text/plain"}
_ESCAPED = r"[FSTREHN]|\.(?:br|sp|sk|in|ti|ce|fi|nf)\s?[+-]?\d{0,3}|X(?:[0-9A-Fa-f]{2})+"
_MOST_SPACE = 3  # line ends that one escape may ask for


@dataclass
class _Report:
    """The segments of one note. `heads`: MSH, PID, PV1, OBR and TXA by name."""

    heads: dict[str, Any]
    observations: list[Any] = field(default_factory=list)
    passed_over: int = 0


def documents(data: bytes, where: str) -> list[dict[str, object]]:
    """The notes of one file. Messages without text are left out and told of. Raises `InputError` when none has any."""
    hl7 = library("hl7", "HL7 v2", where)
    found: list[dict[str, object]] = []
    left_out: list[str] = []
    for number, (lines, notices, codec) in enumerate(_messages(data, where), 1):
        place = f"message {number}"
        with refusing(f"{where}: {place} is not HL7 v2 that can be read; check its MSH segment"):
            message = hl7.parse("\r".join(lines))
        reports = [report for report in _reports(message) if report.observations]
        if not reports:
            left_out.append(f"{place} has no OBX segment")
        for order, report in enumerate(reports, 1):
            told = f"{where}: {place}" + (f", report {order}" if len(reports) > 1 else "")
            try:
                extracted = _text(report, codec, told)
            except InputError as error:
                left_out.append(str(error).removeprefix(f"{where}: "))
                continue
            found.append(extracted.fields(notices, **_facts(report.heads, order if len(reports) > 1 else None)))
    return documents_from(found, where, left_out)


def _messages(data: bytes, where: str) -> Iterator[tuple[list[str], tuple[str, ...], str]]:
    """The segments of each message, what was assumed of its encoding, and its codec.

    Each message is decoded by its own MSH-18. A line that begins no segment is put after the one before it, as a break.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = reading.decode(data, where).text.encode("utf-8", "replace")
    lines = [line.strip(b"\x0b\x1c") for line in _LINE_END.split(data.removeprefix(b"\xef\xbb\xbf"))]
    lines = [line for line in lines if not _WRAPPER.match(line)]
    starts = [number for number, line in enumerate(lines) if re.match(rb"MSH[^\w\s]", line)]
    if not starts or any(line.strip() for line in lines[: starts[0]]):
        raise InputError(f"{where}: not HL7 v2: it does not begin with an MSH segment")
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(lines)], strict=True), 1):
        head = lines[start].decode("latin-1")
        said = _HEAD.match(head)
        if said is None or not said[0].isascii() or len(set(said["others"])) < len(said["others"]):
            raise InputError(f"{where}: message {number} does not say its separators (MSH-1 and MSH-2)")
        separator, escape = said["separator"], said["others"][2:3] or "\\"
        codec = _codec(head.split(separator))
        read = decode(b"\n".join(lines[start:end]), codec, f"{where}: message {number}")
        segments: list[list[str]] = []
        for line in read.text.split("\n"):
            if re.match(rf"[A-Z][A-Z0-9]{{2}}(?:{re.escape(separator)}|$)", line):
                segments.append([line])
            else:
                segments[-1].append(line)
        for parts in segments:
            while len(parts) > 1 and not parts[-1].strip():
                parts.pop()
        joined = [f"{escape}.br{escape}".join(parts) for parts in segments]
        yield joined, read.notices, codec or "utf-8"


def _codec(header: Sequence[str]) -> str | None:
    """Python's name of the charset in MSH-18; None where it names none."""
    named = header[17].split("~")[0].strip().upper() if len(header) > 17 else ""
    latin = _CHARSETS.fullmatch(named)
    if latin:
        return f"iso-8859-{latin.group(1)}"
    return {"ASCII": "ascii", "UNICODE UTF-8": "utf-8", "UTF-8": "utf-8", "UNICODE": "utf-8"}.get(named)


def _reports(message: Any) -> Iterator[_Report]:
    """The reports of a message: one for each OBR, or one in all where the message is about one document (TXA)."""
    heads: dict[str, Any] = {}
    single = any(str(segment[0]) == "TXA" for segment in message)
    report = _Report(heads)
    for segment in message:
        name = str(segment[0])
        if name == "OBR" and not single:
            yield report
            heads = {**heads, name: segment}
            report = _Report(heads)
        elif name in ("MSH", "PID", "PV1", "OBR", "TXA"):
            heads.setdefault(name, segment)
        elif name == "OBX":
            report.observations.append(segment)
        elif name == "NTE":
            report.passed_over += 1
    yield report


def _facts(heads: dict[str, Any], order: int | None) -> dict[str, str | None]:
    """What the segments tell of a note. `order`: its number among those of its message, where there are several."""
    msh, pid, pv1, obr, txa = (heads.get(name) for name in ("MSH", "PID", "PV1", "OBR", "TXA"))
    control = _leaf(msh, 10)
    codings = [("TXA-2", _leaf(txa, 2)), ("OBR-24", _leaf(obr, 24))]
    for segment, number in ((txa, 2), (obr, 4)):
        codings += [(_leaf(segment, number, at + 2), _leaf(segment, number, at)) for at in (1, 4)]
    return {
        "id": _leaf(txa, 12) or _leaf(obr, 3) or (f"{control}-{order}" if control and order else control),
        "kind": codes.kind(codings),
        "date": iso_date(_leaf(txa, 4)) or iso_date(_leaf(obr, 7)),
        "encounter": _leaf(pv1, 19),
        "patient": _leaf(pid, 3),
        "setting": codes.setting([("PV1-2", _leaf(pv1, 2))]),
    }


def _leaf(segment: Any, number: int, component: int = 1) -> str:
    """A field's component in its first repetition; empty where the segment does not have it."""
    if segment is None or number >= len(segment):
        return ""
    _, _, repetition, part, sub = segment.separators
    parts = str(segment[number]).split(repetition)[0].split(part)
    found = parts[component - 1].split(sub)[0] if component <= len(parts) else ""
    return _unescaped(found, segment, "utf-8").strip()


def _text(report: _Report, codec: str, where: str) -> Extracted:
    """The text of a report's observations in their order, and what of them was left out.

    Raises `InputError` when none holds text, or the text is by reference only.
    """
    texts: list[tuple[str, str]] = []  # the observation's name, and its text
    notices: list[str] = []
    passed_over = report.passed_over
    for segment in report.observations:
        kind = _leaf(segment, 2)
        if kind in _TEXT:
            found = "\n".join(_unescaped(line, segment, codec) for line in _repetitions(segment))
        elif kind in _CODED:
            found = _leaf(segment, 5, 2) or _leaf(segment, 5)
        elif kind in ("ED", "RP"):
            try:
                held = _attachment(segment, kind, where)
            except InputError as error:
                notices.append(str(error))
                continue
            notices += held.notices
            found = held.text
        else:
            passed_over += 1
            continue
        texts.append((_leaf(segment, 3, 2), found))
    if not any(found.strip() for _, found in texts):
        raise InputError(notices[0] if notices else f"{where} has no OBX segment with text")
    if passed_over:
        notices.append(f"{where}: left out {passed_over} segments that are not text (OBX of other types, NTE)")
    return Extracted(_joined(texts), tuple(notices))


def _joined(texts: list[tuple[str, str]]) -> str:
    """The texts line by line, under their names where these differ."""
    several = len({name for name, _ in texts}) > 1
    lines: list[str] = []
    last = ""
    for name, found in texts:
        if several and name and name != last and not found.strip().casefold().startswith(name.casefold()):
            lines += ([""] if lines else []) + [f"{name}:"]
        last = name
        lines.append(found)
    return "\n".join(lines)


def _repetitions(segment: Any) -> list[str]:
    return str(segment[5]).split(segment.separators[2]) if len(segment) > 5 else []


def _attachment(segment: Any, kind: str, where: str) -> Extracted:
    """The text of an observation that is encapsulated data (ED) in base64, of whatever format it begins like."""
    if kind == "RP":
        raise InputError(
            f"{where}: its document is given by an address only, and nothing is fetched; give the document"
        )
    subtype, encoding = _leaf(segment, 5, 3).lower(), _leaf(segment, 5, 4).lower()
    if encoding in ("a", ""):
        return Extracted(_unescaped(_leaf(segment, 5, 5), segment, "utf-8"))
    if encoding != "base64":
        raise InputError(f"{where}: its encapsulated data is not in base64; send it as base64 or as text")
    return cda.attachment(from_base64(_leaf(segment, 5, 5), where), _MEDIA.get(subtype, ""), where)


def _unescaped(text: str, segment: Any, codec: str) -> str:
    """The text with HL7's escape sequences undone; what is none of them stays as it is."""
    _, separator, repetition, component, sub = segment.separators
    signs = {"F": separator, "S": component, "T": sub, "R": repetition, "E": segment.esc, "H": "", "N": ""}
    escape = re.escape(str(segment.esc))

    def undone(match: re.Match[str]) -> str:
        said: str = match.group(1)
        if said in signs:
            return str(signs[said])
        if said.startswith("X"):
            return bytes.fromhex(said[1:]).decode(codec, "replace")
        number = re.search(r"\d+", said)
        if said.startswith(".sp"):
            return "\n" * min(int(number.group()) if number else 1, _MOST_SPACE)
        if said.startswith(".sk"):
            return " "
        return "\n" if said.startswith((".br", ".ce")) else ""

    return re.sub(rf"{escape}({_ESCAPED}){escape}", undone, text)
