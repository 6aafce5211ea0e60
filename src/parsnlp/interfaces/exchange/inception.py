"""INCEpTION: UIMA CAS XMI, a file a note, and `TypeSystem.xml`, which also imports the two layers into a project.

The layer of mentions is `webanno.custom.Mention` with the features condition and assertion; what is known of the note is
the document metadata `webanno.custom.Note` with codes (parted by spaces), kind, setting and encounter_date. Offsets in
the files are UTF-16 code units; the library that writes and reads them converts.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parsnlp.errors import InputError
from parsnlp.evaluation.gold import GoldNote
from parsnlp.interfaces import reading
from parsnlp.interfaces.exchange.common import (
    ASSERTIONS,
    CONDITIONS,
    FACTS,
    Files,
    Row,
    Rows,
    allowed,
    facts,
    file_name,
    found_in,
    mentions,
    note_id,
    told,
)

MENTION, NOTE = "webanno.custom.Mention", "webanno.custom.Note"
_METADATA = "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData"
_TYPES = "TypeSystem.xml"


def files(rows: Sequence[GoldNote], by: str | None) -> Files:
    """The type system, and a CAS a note."""
    cassis = _cassis()
    types = _types(cassis)
    yield _TYPES, types.to_xml().encode("utf-8")
    for row in rows:
        try:
            yield f"{file_name(row)}.xmi", _cas(cassis, types, row).to_xmi().encode("utf-8")
        except ValueError:  # lxml: XML has no way to write most control characters
            raise InputError(
                f"note {row.id!r} holds a control character that XML cannot; remove it, or take another format"
            ) from None


def _types(cassis: Any) -> Any:
    types = cassis.TypeSystem()
    mention = types.create_type(name=MENTION, supertypeName="uima.tcas.Annotation")
    for name in ("condition", "assertion"):
        types.create_feature(domainType=mention, name=name, rangeType="uima.cas.String")
    note = types.create_type(name=NOTE, supertypeName="uima.cas.AnnotationBase")
    for name in ("codes", *FACTS):
        types.create_feature(domainType=note, name=name, rangeType="uima.cas.String")
    metadata = types.create_type(name=_METADATA, supertypeName="uima.tcas.DocumentAnnotation")
    for name in ("documentTitle", "documentId"):
        types.create_feature(domainType=metadata, name=name, rangeType="uima.cas.String")
    return types


def _cas(cassis: Any, types: Any, row: GoldNote) -> Any:
    cas = cassis.Cas(typesystem=types)
    cas.sofa_string, cas.sofa_mime = row.text, "text/plain"
    end = len(row.text)
    cas.add(types.get_type(_METADATA)(begin=0, end=end, language="en", documentTitle=row.id, documentId=row.id))
    known = facts(row)
    codes = known.pop("codes", None)
    cas.add(types.get_type(NOTE)(**known, codes=None if codes is None else " ".join(codes)))
    layer = types.get_type(MENTION)
    for each in mentions(row):
        cas.add(layer(begin=each.start, end=each.end, condition=each.condition, assertion=each.assertion))
    return cas


def rows(path: Path, problems: list[str]) -> Rows:
    """A row for each `.xmi`, read by the `TypeSystem.xml` that lies beside it."""
    cassis = _cassis()
    for each in found_in(path, "*.xmi", "INCEpTION"):
        try:
            cas = _loaded(cassis, each)
        except InputError as error:
            problems.append(str(error))
            continue
        known: Row = {"id": note_id(each), "text": cas.sofa_string or ""}
        for metadata in _of(cas, _METADATA):
            known["id"] = getattr(metadata, "documentId", None) or known["id"]
        for note in _of(cas, NOTE):
            given = {name: getattr(note, name, None) for name in (*FACTS, "codes")}
            codes = given["codes"]
            known |= told(given | {"codes": codes.split() if isinstance(codes, str) else codes})
        yield str(each), {**known, "mentions": _mentions(each, cas, problems)}


def _loaded(cassis: Any, path: Path) -> Any:
    """The CAS of a file. Raises `InputError` for what is none; a file that declares entities is not read."""
    beside = path.with_name(_TYPES)
    data, types = _harmless(path), _harmless(beside)
    try:
        with warnings.catch_warnings():
            # The library warns and goes on with the offset as it stands, in code units.
            warnings.filterwarnings("error", "Not mapping external offset", UserWarning)
            return cassis.load_cas_from_xmi(io.BytesIO(data), typesystem=cassis.load_typesystem(io.BytesIO(types)))
    except UserWarning:
        raise InputError(
            f"{path}: an offset splits a character or lies beyond the text; was the text changed?"
        ) from None
    except Exception:  # cassis and lxml raise many kinds, whose words may quote the file
        raise InputError(f"{path}: no UIMA CAS XMI that fits the {_TYPES} beside it; export both together") from None


def _harmless(path: Path) -> bytes:
    """The bytes of an XML file that declares no DTD and no entities."""
    from parsnlp.interfaces.formats.common import library

    defused = library("defusedxml", "XML", str(path))
    trees = library("defusedxml.ElementTree", "XML", str(path))
    data = reading.content(path)
    try:
        trees.fromstring(data, forbid_dtd=True)
    except defused.DefusedXmlException:
        raise InputError(f"{path}: declares a DTD or entities, which are not read; export it again") from None
    except Exception:
        raise InputError(f"{path}: not well-formed XML, or truncated; export it again") from None
    return data


def _of(cas: Any, name: str) -> list[Any]:
    return list(cas.select(name)) if cas.typesystem.contains_type(name) else []


def _mentions(path: Path, cas: Any, problems: list[str]) -> list[Row]:
    found = []
    for number, each in enumerate(_of(cas, MENTION), 1):
        where = f"{path}: mention {number}"
        condition, assertion = getattr(each, "condition", None), getattr(each, "assertion", None)
        if condition not in CONDITIONS:
            problems.append(f"{where}: its condition is none of {allowed(CONDITIONS)}")
        elif assertion not in ASSERTIONS:
            problems.append(f"{where}: its assertion is none of {allowed(ASSERTIONS)}")
        else:
            place = {"start": getattr(each, "begin", None), "end": getattr(each, "end", None)}
            found.append({"condition": condition, "assertion": assertion, **place})
    return found


def _cassis() -> Any:
    try:
        import cassis
    except ImportError:
        raise InputError("INCEpTION's format needs: pip install 'parsnlp[exchange]'") from None
    return cassis
