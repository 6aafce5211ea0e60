"""Words one case: frames, phrases, layout; and finds the mentions' offsets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from generator.lexicons import NOT_ON_FILM, allowed, cause, lexicon
from generator.sampling import study
from generator.truth import LYSIS, REGION_CHARS, SLIP, TRAUMA, Case, Line, Statement, Study, members

FIRST_DAY = date(2025, 10, 1)  # FY2026
OPEN, CLOSE = 0xE100, 0xE800  # private-use code points that mark mention number n while a text is being laid out

SEGMENT_FORMS = ("{a}-{b}", "{a}-{b}", "{a}/{b}", "{a}-{n}", "{a}–{n}", "{a}-{n}", "{a}/{n}")


def site_word(rng: Random, site: str) -> str:
    """L4-L5, L4-5, L4/5, L4–5 ...; the short forms only within one letter."""
    if "-" not in site:
        return site
    upper, lower = members(site)
    same = upper[0] == lower[0]
    form = rng.choice(SEGMENT_FORMS if same else SEGMENT_FORMS[:3])
    return form.format(a=upper, b=lower, n=lower[1:])


@dataclass
class Phrase:
    text: str  # with the head between the marks
    number: str  # mass, sg, pl

    def articled(self) -> str:
        if self.number != "sg":
            return self.text
        return f"{article(self.text)} {self.text}"


def article(text: str) -> str:
    word = re.sub(r"[\ue000-\uf8ff]", "", text)
    return (
        "an" if re.match(r"[aeiou]|L\d|S\d|8|11|18|MRI", word, re.I if not re.match(r"[A-Z]\d", word) else 0) else "a"
    )


class Writer:
    """Words one case: frames, phrases, layout. The marks of the mentions stay in the text until the end."""

    def __init__(self, case: Case) -> None:
        self.case, self.rng = case, case.rng
        self.lex = lexicon()
        self.frames, self.conditions = self.lex["frames"], self.lex["conditions"]
        self.marked: list[Statement] = []
        self.modalities: list[str] = []
        rng = self.rng
        self.age = rng.randint(13, 27) if case.young else rng.randint(34, 84)
        self.female = rng.random() < 0.5
        self.name = rng.choice(self.lex["distractors"]["names"])
        self.day = FIRST_DAY + timedelta(days=rng.randrange(364))
        self.day_format = rng.choice(["%m/%d/%Y", "%Y-%m-%d", "%d %b %Y", "%B %d, %Y", "%m/%d/%y", "%m-%d-%Y"])
        title = "Ms." if self.female else "Mr."
        subject = rng.choice(
            ["The patient", self.name.split()[0] if self.age < 18 else f"{title} {self.name.split()[1]}"]
        )
        he, his, him = ("she", "her", "her") if self.female else ("he", "his", "him")
        sex = {(True, True): "girl", (True, False): "boy"}.get(
            (self.age < 18, self.female), "woman" if self.female else "man"
        )
        duration = rng.choice(["three weeks", "six weeks", "two months", "four months", "half a year", "two years"])
        if case.register in ("tele", "phone"):
            duration = rng.choice(["3 wks", "6 wks", "2 mo", "4 mo", "1 yr"])
        if case.injured:
            duration = "one day" if case.phase in ("initial", "open") else "ten weeks"
        self.tokens = {
            "{Pt}": subject,
            "{he}": he,
            "{He}": he.capitalize(),
            "{his}": his,
            "{His}": his.capitalize(),
            "{him}": him,
            "{age}": str(self.age),
            "{sex}": sex,
            "{s}": "F" if self.female else "M",
            "{S}": "F" if self.female else "M",
            "{name}": self.name,
            "{dur}": duration,
            "{year}": str(self.day.year - rng.randint(2, 9)),
            "{date}": self.format(self.day),
            "{before}": self.format(self.day - timedelta(days=rng.randint(2, 6))),
        }

    def format(self, day: date) -> str:
        return day.strftime(self.day_format)

    def fill(self, text: str) -> str:
        for token, value in self.tokens.items():
            if token in text:
                text = text.replace(token, value)
        text = re.sub(r"\ba (?=8\d|18)", "an ", text)
        if self.case.body == "cervical":
            text = re.sub(
                r"(?:low )?back pain",
                lambda m: "Neck pain" if m.group()[0].isupper() else "neck pain",
                text,
                flags=re.I,
            )
        return text

    # -- phrases
    def mark(self, text: str, statement: Statement) -> str:
        self.marked.append(statement)
        number = len(self.marked) - 1
        return f"{chr(OPEN + number)}{text}{chr(CLOSE + number)}"

    def misspell(self, condition: str, word: str, direction: str | None) -> str:
        odds = 0.07 if self.case.register in ("tele", "phone", "form") else 0.03
        if self.rng.random() >= odds:
            return word
        if word == condition:
            return str(self.rng.choice(self.conditions[condition]["misspelled"]))
        if word in ("anterolisthesis", "retrolisthesis"):
            return str(
                self.rng.choice(
                    self.conditions["misspelled_direction"][direction or {"a": "antero", "r": "retro"}[word[0]]]
                )
            )
        return word

    def head(self, s: Statement, plural: bool) -> tuple[str, str]:
        """The head term and its number."""
        f, words = s.finding, self.conditions[s.condition]
        if s.assertion != "affirmed" and f.kind == "plain" and not (f.side or f.chronicity or f.grade):
            kind = words["bare"]
            number = (
                self.rng.choice(["mass", "mass", "sg", "pl"])
                if s.assertion == "negated"
                else self.rng.choice(["mass", "mass", "sg"])
            )
        elif s.condition == SLIP:
            kind = words["subluxation"] if f.kind == "subluxation" else words[f.direction or "plain"]
            one_segment = len(f.sites) == 1 and "-" in f.sites[0]
            number = "over" if "mass" not in kind or (one_segment and self.rng.random() < 0.3) else "mass"
            if f.etiology in ("dysplastic", "congenital", "isthmic", "traumatic", "pathologic", "developmental"):
                return self.misspell(s.condition, "spondylolisthesis", None), "mass"
        elif f.kind == "clause":
            return self.misspell(LYSIS, "spondylolysis", None), "mass"
        else:
            kind = words[f.kind]
            number = "pl" if plural else "sg"
            region = bool(f.sites) and f.sites[0] in REGION_CHARS
            if "mass" in kind and (
                f.etiology in ("congenital", "developmental")
                or region
                or not f.sites
                or self.rng.random() < (0.9 if "-" in f.sites[0] else 0.4)
            ):
                number = "mass"
        return self.misspell(s.condition, self.rng.choice(kind[number]), f.direction), number

    def phrase(self, s: Statement, hide_site: bool = False) -> Phrase:
        if s.injury:
            return self.injury(s)
        if s.condition == TRAUMA:
            return Phrase(self.mark(self.rng.choice(self.conditions["trauma"]["negated"]), s), "sg")
        rng, f, words = self.rng, s.finding, self.conditions["attributes"]
        plural = f.side == "bilateral" or len(f.sites) > 1
        head, number = self.head(s, plural)
        hide_site = hide_site and number != "over"
        before: list[str] = []
        after: list[str] = []
        tele = self.case.register in ("tele", "phone", "form")
        if f.chronicity and (entry := words["chronicity"][f.chronicity])["pre"]:
            late = bool(entry["post"]) and rng.random() < 0.2
            (after if late else before).append(rng.choice(entry["post"] if late else entry["pre"]))
        if f.grade:
            entry = words["grade"].get(f.grade, {"pre": [f.grade], "post": [f"({f.grade})"]})
            late = bool(entry["post"]) and rng.random() < 0.3
            grade = rng.choice(entry["post"] if late else entry["pre"])
            (after if late else before).append(grade)
        if f.etiology and not f.etiology_in_frame and (options := words["etiology"][f.etiology]["pre"]):
            before.append(rng.choice(options))
        places: list[str] = []
        if f.side:
            entry = words["side"][f.side]
            if entry["post"] and rng.random() < 0.3:
                places.append(rng.choice(entry["post"]))
            else:
                before.append(rng.choice(entry["short"] if tele and rng.random() < 0.4 else entry["pre"]))
        if f.sites and not hide_site:
            self.place(s, number, before, places)
        text = " ".join([*before, self.mark(head, s), *places, *after]).replace(" ,", ",")
        return Phrase(
            text,
            {"over": "sg"}.get(number, number)
            if head not in ("slippage", "forward displacement", "anterior translation", "anterior slippage")
            and not head.endswith(("translation", "slippage", "listhesis"))
            else "mass",
        )

    def place(self, s: Statement, number: str, before: list[str], places: list[str]) -> None:
        rng, sites = self.rng, s.finding.sites
        if number == "over":
            upper, lower = members(sites[0])
            places.insert(0, f"of {upper} on {lower}")
        elif sites[0] in REGION_CHARS:
            before.append(sites[0])
        elif len(sites) == 2 and "-" not in sites[0]:
            places.insert(0, rng.choice([f"at {sites[0]} and at {sites[1]}", f"at both {sites[0]} and {sites[1]}"]))
        elif sites == ("L4-L5", "L5-S1") and rng.random() < 0.15:
            places.insert(0, "from L4 through S1")
        elif len(sites) == 2:
            both_sites = " and ".join(site_word(rng, s) for s in sites)
            places.insert(0, f"at {both_sites}")
        elif "-" in sites[0] and rng.random() < 0.35:
            upper, lower = members(sites[0])
            places.insert(
                0,
                f"of {upper} on {lower}"
                if s.condition == SLIP and rng.random() < 0.6
                else f"at {site_word(rng, sites[0])}",
            )
        elif rng.random() < 0.35:
            full = self.conditions["full_names"].get(sites[0])
            places.insert(
                0,
                f"of the {full}"
                if full and rng.random() < 0.15
                else rng.choice([f"at {site_word(rng, sites[0])}", f"at the {site_word(rng, sites[0])} level"]),
            )
        else:
            before.append(site_word(rng, sites[0]))

    def injury(self, s: Statement) -> Phrase:
        rng, injury, words = self.rng, s.injury, self.conditions["trauma"]
        assert injury
        level = site_word(rng, injury.site)
        slots = {
            "{s}": f"{injury.side} " if injury.side else "",
            "{d}": "nondisplaced " if injury.nondisplaced else "",
            "{l}": level,
            "{on}": " on ".join(members(injury.site)),
            "{t}": injury.type or "",
        }
        if injury.form in words["parts"]:
            slots["{p}"] = rng.choice(words["parts"][injury.form])
            options = words[
                "untied" if injury.tied == "untied" else "mechanical" if injury.tied == "mechanism" else "tied"
            ]
            options = [o for o in options if slots["{p}"] != "laminar" or "of the" not in o]
        else:
            options = words["hangman_type" if injury.type else injury.form]
        if not injury.acute:
            options = [o for o in options if "acute" not in o]
        text = rng.choice(options)
        for slot, value in slots.items():
            text = text.replace(slot, value)
        marked = self.mark(text, s)
        return Phrase(f"{marked} {cause(self.case)['mechanism']}" if injury.tied == "mechanism" else marked, "sg")

    # -- sentences
    def usable(self, frame: str, modality: str | None) -> bool:
        """A frame that names a kind of study only where the note has that study."""
        if "{mod}" in frame and not self.case.studies:
            return False
        seen = {modality} if modality else {x.modality for x in self.case.studies}
        if re.search(r"film|oblique|radiograph|lateral|X-ray", frame, re.I) and "radiograph" not in seen:
            return False
        if re.search(r"confirmed on imaging|imaging confirmed", frame) and not self.case.studies:
            return False
        if (
            re.search(r"denies|Imaging is|on imaging|\bscan\b|images|workup|study|result|Radiology found", frame, re.I)
            and not seen
            and "order" not in frame
        ):
            return "hypothetical" in frame
        return not ("reformats" in frame and "CT" not in seen)

    def sentence(self, line: Line, hide_site: bool = False) -> str:
        case, rng = self.case, self.rng
        register = line.register or case.register
        if (
            line.role == "imaging"
            and register in ("prose", "letter")
            and (line.frame == "fresh" or line.statements[0].assertion == "uncertain")
        ):
            register = "report"  # what a report says is not "the patient has"
        first = line.statements[0]
        modality = case.studies[line.study].modality if line.role == "imaging" and case.studies else None
        if idiom := self.idiom(line, register, modality):
            return self.finish(idiom, register)
        registers = self.frames[line.frame or first.assertion]
        options = registers.get(register) or registers["prose"]
        if isinstance(options, dict):
            options = options.get(line.role) or options.get("any") or options["assessment"]
        options = [o for o in options if first.assertion == "hypothetical" or self.usable(o, modality)]
        frame = rng.choice(options)
        if "brace" in frame and first.assertion == "affirmed":
            case.care.add("bracing")
        text = frame
        phrase = self.phrase(first, hide_site)
        verb = "are" if phrase.number == "pl" else "is"
        if len(line.statements) > 1:
            text = text.replace("{Y}", self.phrase(line.statements[1]).text)
        text = (
            text.replace("{aX}", phrase.articled()).replace("{theX}", f"the {phrase.text}").replace("{X}", phrase.text)
        )
        text = (
            text.replace("{is}", verb)
            .replace("{was}", "were" if verb == "are" else "was")
            .replace("{has}", "have" if verb == "are" else "has")
        )
        text = text.replace("{rel}", rng.choice(self.lex["distractors"]["relatives"])).replace("{{choose}}", "{choose}")
        if case.studies:
            text = text.replace(
                "{mod}", {"radiograph": "x-ray"}.get(case.studies[-1].modality, case.studies[-1].modality)
            )
        return self.finish(text, register)

    def idiom(self, line: Line, register: str, modality: str | None) -> str:
        """A whole sentence that names the condition by description."""
        s = line.statements[0]
        f = s.finding
        if (
            line.frame
            or len(line.statements) > 1
            or self.rng.random() > 0.15
            or f.chronicity
            or f.etiology
            or f.grade
            or f.kind != "plain"
            or f.side == "unilateral"
        ):
            return ""
        if (s.assertion == "negated" and f.sites) or (
            s.assertion == "affirmed" and (len(f.sites) != 1 or "-" in f.sites[0] or f.sites[0] in REGION_CHARS)
        ):
            return ""
        options = self.conditions["idioms"].get(s.condition, {}).get(s.assertion, {}).get(register, [])
        if line.role in ("history", "pmh", "plan", "postop") or not (
            options := [o for o in options if self.usable(o, modality)]
        ):
            return ""
        text: str = self.rng.choice(options).replace("{at}", f" at {f.sites[0]}" if f.sites else "")
        text = text.replace(
            "{on}",
            {"left": " on the left", "right": " on the right", "bilateral": " on both sides"}.get(f.side or "", ""),
        )
        return re.sub(r"<([^>]*)>", lambda m: self.mark(m.group(1), s), text)

    def finish(self, text: str, register: str) -> str:
        text = self.fill(text)
        if register in ("report", "prose", "letter"):
            at = next((i for i, c in enumerate(text) if c.isalnum()), 0)
            text = text[:at] + text[at].upper() + text[at + 1 :]
        return text

    # -- layout
    def fillers(self, block: dict[str, Any]) -> list[str]:
        case, rng, found = self.case, self.rng, []
        for name, (low, high) in block.get("fill", {}).items():
            table = self.lex["distractors"][name]
            values = table.get(case.body if name in ("report", "body_short") else case.register, [])
            values = [v for v in values if allowed(case, v["t"] if isinstance(v, dict) else v)]
            if name in ("report", "body_short") and case.studies and case.studies[0].modality == "radiograph":
                values = [v for v in values if not NOT_ON_FILM.search(v)]
            for value in rng.sample(values, min(len(values), rng.randint(low, high))):
                if isinstance(value, dict):
                    case.care.update(value["care"])
                    value = value["t"]
                found.append(self.noise(self.finish(value, case.register)))
        return found

    def noise(self, text: str) -> str:
        """Light scanning errors, in distractors only."""
        if not self.case.spec.get("ocr"):
            return text
        for wrong, right in (("rn", "m"), ("l", "1"), ("o", "0"), ("e", "c")):
            if self.rng.random() < 0.12:
                text = re.sub(rf"(?<=[a-z]){wrong}(?=[a-z])", right, text, count=1)
        return text.replace(". ", ".  ") if self.rng.random() < 0.2 else text

    def block(self, block: dict[str, Any]) -> str:
        case, rng, role = self.case, self.rng, block["role"]
        if role == "title":
            return self.title(rng.choice(block["head"]))
        if block.get("optional") and rng.random() > block["optional"]:
            return ""
        if role == "signature":
            return str(rng.choice(self.lex["distractors"]["signature"]))
        if role == "imaging":
            return self.imaging(block)
        lines = [line for line in case.lines if line.role == ("assessment" if role == "postop" else role)]
        said = [self.sentence(line) for line in lines]
        extra = [self.finish(t, case.register) for t in case.extra.get(role, [])]
        fillers = self.fillers(block)
        if "text" in block:
            fillers.append(self.fill(rng.choice(block["text"])))
        if role == "operation":
            fillers = [self.operation()]
        if role == "indication" and not said:
            fillers = [
                self.fill(rng.choice(self.lex["distractors"]["indication_injury" if case.injured else "indication"]))
            ]
        if role in ("assessment", "postop") and not said and not fillers:
            options = self.lex["distractors"]["assessment"].get(case.register) or [
                "No acute abnormality.",
                "Degenerative change as above.",
                "No acute osseous abnormality.",
            ]
            fillers = [self.finish(rng.choice([o for o in options if allowed(case, o)]), case.register)]
            if case.kind == "operative":
                fillers = ["Lumbar stenosis L4-5 with neurogenic claudication."]
        lead = []
        if "lead" in block:
            values = [v for v in self.lex["distractors"][block["lead"]][case.register] if allowed(case, v)]
            lead = [self.finish(rng.choice(values), case.register)]
        items = self.weave(extra + said, fillers, front=role in ("assessment", "postop") and rng.random() < 0.7)
        items = lead + items
        return self.shape(block, items) if items else ""

    def weave(self, fixed: list[str], fillers: list[str], front: bool) -> list[str]:
        """The fixed sentences in their order, the fillers anywhere among them."""
        if front:
            return fixed + fillers
        items = list(fixed)
        for filler in fillers:
            items.insert(self.rng.randint(0, len(items)), filler)
        return items

    def shape(self, block: dict[str, Any], items: list[str]) -> str:
        rng, form = self.rng, block.get("form", "prose")
        head = self.fill(rng.choice(block["head"]))
        if form == "list":
            style = rng.choice(["{n}. ", "{n}) ", "- ", "• ", "* "]) if len(items) > 1 or rng.random() < 0.5 else ""
            body = "\n".join(style.format(n=i + 1) + item for i, item in enumerate(items))
        elif form in ("lines", "levels"):
            body = "\n".join(items)
        elif form == "tele":
            body = ". ".join(items)
        else:
            body = " ".join(items)
        if not head:
            return body
        return f"{head} {body}" if block.get("inline") and form in ("prose", "tele") else f"{head}\n{body}"

    def title(self, head: str) -> str:
        case = self.case
        if case.kind == "radiology":
            modality = case.studies[0].modality
            name = {"radiograph": self.rng.choice(["XR", "X-ray"]), "CT": "CT", "MRI": "MRI"}[modality]
            region = case.film or (
                "lumbosacral"
                if modality == "radiograph"
                and case.body == "lumbar"
                and self.sites_stated()
                and self.rng.random() < 0.15
                else case.body
            )
            for token, value in {
                "{MOD}": name.upper(),
                "{Mod}": name,
                "{BODY}": region.upper(),
                "{body}": region,
            }.items():
                head = head.replace(token, value)
            if modality == "radiograph":
                head = head.replace(" WITHOUT CONTRAST", ", AP AND LATERAL")
            self.modalities = [modality]
        return self.fill(head)

    def sites_stated(self) -> bool:
        conditions = {s.condition for line in self.case.lines for s in line.statements if s.assertion == "affirmed"}
        return all(
            any(
                s.finding.sites
                for line in self.case.lines
                for s in line.statements
                if s.condition == c and s.assertion == "affirmed"
            )
            for c in conditions
        )

    def operation(self) -> str:
        conditions = {s.condition for line in self.case.lines for s in line.statements}
        if conditions == {LYSIS}:
            return self.rng.choice(
                [
                    "Direct repair with pedicle screw and hook construct.",
                    "Intralaminar screw fixation with iliac crest graft.",
                ]
            )
        if SLIP in conditions:
            return self.rng.choice(
                [
                    "Posterior instrumented fusion with interbody cage.",
                    "Decompression and posterolateral fusion with pedicle screws.",
                    "Instrumented fusion L3 to S1.",
                ]
            )
        return self.rng.choice(
            [
                "L4-5 laminectomy. The pars was thinned but preserved.",
                "L4-5 laminotomy and foraminotomy; the pars was preserved.",
                "Bilateral L4-5 decompression with undercutting of the facets.",
            ]
        )

    def imaging(self, block: dict[str, Any]) -> str:
        case, rng = self.case, self.rng
        if case.kind == "radiology":
            return self.report_findings(block)
        lines = [line for line in case.lines if line.role == "imaging"]
        if not case.studies and (case.no_site or rng.random() > 0.35 or block.get("fill") is None):
            return ""
        if not case.studies:
            study(case)
        items = []
        fillers = self.fillers(block)
        for number, one in enumerate(case.studies):
            said = [self.sentence(line) for line in lines if line.study == number] + [
                self.finish(t, case.register) for t in case.extra.get(f"study{number}", [])
            ]
            said += fillers if number == 0 else []
            if not said:
                said = [
                    {"tele": "no acute finding", "form": "Result | no acute finding", "phone": "no acute finding"}.get(
                        case.register, "No acute finding."
                    )
                ]
            self.modalities.append(one.modality)
            if case.register == "form":
                items += [self.study_head(one).rstrip(":"), *said]
            else:
                items.append(
                    f"{self.study_head(one)} {('. ' if case.register in ('tele', 'phone') else ' ').join(said)}"
                )
        if len(items) > 1 and block["form"] != "tele":
            head = rng.choice(block["head"])
            return str(head + "\n" + "\n".join(items))
        return self.shape(block, items)

    def study_head(self, one: Study) -> str:
        rng, case = self.rng, self.case
        names = {"radiograph": ["X-rays", "Radiographs"], "CT": ["CT"], "MRI": ["MRI"]}
        if case.register in ("tele", "phone"):
            names["radiograph"] = ["XR", "x-rays"]
        name = rng.choice(names[one.modality])
        later = len(case.studies) - 1 - case.studies.index(one)  # a later study has a later date
        back = 0 if case.injured else rng.randint(0, 20) + 21 * later
        day = self.format(self.day - timedelta(days=back))
        label = f"{one.label} " if one.label in ("supine", "standing") else ""
        tail = " (radiology report)" if one.label == "radiology report" else ""
        spine = (
            f"{case.body[0].upper()}-spine"
            if case.register in ("tele", "phone") and rng.random() < 0.6
            else f"{case.body} spine"
        )
        name = name if not label or name.isupper() else name[0].lower() + name[1:]
        head = rng.choice([f"{label}{name} {spine} {day}{tail}:", f"{label}{name} of the {spine} ({day}){tail}:"])
        return head[0].upper() + head[1:] if case.register not in ("tele", "phone") else head

    def report_findings(self, block: dict[str, Any]) -> str:
        """The findings of a radiologist's report, as prose or one line a motion segment."""
        case, rng = self.case, self.rng
        lines = [line for line in case.lines if line.role == "imaging"]
        if block["form"] != "levels":
            items = self.weave([self.sentence(line) for line in lines], self.fillers(block), front=False)
            return self.shape(block, items or ["No acute finding."])
        table = self.lex["distractors"]["level_lines"][case.body]
        heads: dict[str, list[Line]] = {}
        free: list[Line] = []
        for line in lines:
            sites = line.statements[0].finding.sites
            if (
                line.statements[0].condition == SLIP
                and len(line.statements) == 1
                and len(sites) == 1
                and sites[0] in table
                and rng.random() < 0.8
            ):
                heads.setdefault(sites[0], []).append(line)
            else:
                free.append(line)
        general = [
            self.finish(t, "report")
            for t in rng.sample(self.lex["distractors"]["report"][case.body], 2)
            if allowed(case, t)
        ]
        rows = [*general[:1], *(self.sentence(line) for line in free)]
        for level, options in table.items():
            at = [self.sentence(line, hide_site=rng.random() < 0.6) for line in heads.get(level, [])]
            fitting = [o for o in options if o not in ("Normal.", "Negative.", "Unremarkable.")] if at else options
            rows.append(f"{site_word(rng, level)}: {' '.join([*at, rng.choice(fitting or ['Facet arthropathy.'])])}")
        return f"{rng.choice(block['head'])}\n" + "\n".join(rows + general[1:])

    def text(self) -> str:
        case, rng = self.case, self.rng
        blocks = [self.block(block) for block in case.spec["blocks"]]
        gap = rng.choice(["\n\n", "\n"])
        text = gap.join(b for b in blocks if b)
        if case.spec.get("caps"):
            text = text.upper()
        if width := case.spec.get("wrap"):
            text = wrapped(text, rng.randint(*width))
        text += rng.choice(["", "\n"])
        return text.replace("\n", "\r\n") if rng.random() < 0.06 else text


def wrapped(text: str, width: int) -> str:
    """Hard line breaks at a width; the marks count nothing."""
    out: list[str] = []
    for line in text.split("\n"):
        row: list[str] = []
        length = 0
        for word in line.split(" "):
            size = len(re.sub(r"[\ue000-\uf8ff]", "", word))
            if row and length + 1 + size > width:
                out.append(" ".join(row))
                row = []
                length = 0
            row.append(word)
            length += size + 1
        out.append(" ".join(row))
    return "\n".join(out)


def unmarked(text: str, statements: list[Statement]) -> tuple[str, list[dict[str, Any]]]:
    """The text without marks, and the mentions with their offsets."""
    plain: list[str] = []
    starts: dict[int, int] = {}
    mentions = []
    for char in text:
        code = ord(char)
        if OPEN <= code < CLOSE:
            starts[code - OPEN] = len(plain)
        elif CLOSE <= code < CLOSE + len(statements):
            s, start = statements[code - CLOSE], starts[code - CLOSE]
            mentions.append(
                {
                    "condition": s.condition,
                    "assertion": s.assertion,
                    "start": start,
                    "end": len(plain),
                    "text": "".join(plain[start:]),
                }
            )
        else:
            plain.append(char)
    return "".join(plain), sorted(mentions, key=lambda m: int(m["start"]))
