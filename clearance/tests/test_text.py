from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from hypothesis import given
from hypothesis import strategies as some

from accounts.models import Division
from clearance import text
from clearance.constraints import ConstraintViolated, explained
from clearance.tests.test_house import APPS

# One-line texts that the constraint leaves out, each with its reason.
FREE = {
    "accounts.KeptAnswer": "made by us of what was checked: key, endpoint, hash",
    "accounts.FailedSignIns": "hashes and addresses",
    "accounts.OldPassword": "hashes",
    "accounts.SecondFactor": "encrypted",
    "accounts.BackupCode": "hashes",
    "accounts.User.password": "a hash",
    "accounts.ApiKey.prefix": "made by us",
    "accounts.ApiKey.key_hash": "a hash",
    "accounts.SignIn.refresh_hash": "a hash",
    "accounts.BrowserSession.session_key": "made by us",
    "audit.AuditEntry": "the trail refuses nothing: what is on record was checked where it came in",
    "audit.Seal": "hashes",
    "audit.EvidencePack": "made by us: a kind, a key, a hash",
    "outbox.Message": "what a carrier answered, as it said it",
    "outbox.Carrier": "what a carrier answered, as it said it",
    "outbox.MutedMail": "a choice",
    "outbox.WantedText": "a choice",
    "workflow.TemplateStep.filled_by_field": "one of the fields that another constraint names",
    "workflow.Responsibility.template_code": "the code of a template, which has the constraint",
    "workflow.WorkflowStep.step_name": "copied from the template's step, which has the constraint",
    "shipments.HistoricalShipment": "copied by the trail",
    "workflow.HistoricalWorkflowStep": "copied by the trail",
}
UNSEEN = {
    "a line break": "\n",
    "a tab": "\t",
    "a control": "\x07",
    "another line break": "\u2028",
    "a zero-width blank": "\u200b",
    "a joiner": "\u200d",
    "a non-joiner": "\u200c",
    "a direction mark": "\u200f",
    "an override": "\u202e",
    "an isolate": "\u2066",
    "a word joiner": "\u2060",
    "a soft hyphen": "\u00ad",
    "a byte order mark": "\ufeff",
    "a tag": "\U000e0041",
}
MUHAMMAD, IN_SHAPES = "محمد", "\ufee3\ufea4\ufee4\ufeaa"


def ours() -> list[type[models.Model]]:
    return [model for app in APPS for model in apps.get_app_config(app).get_models()]


def lines_of(model: type[models.Model]) -> dict[str, models.CharField[Any, Any]]:
    """The fields for texts of one line that people or programs fill in."""
    found = {field.name: field for field in model._meta.local_concrete_fields}
    return {
        name: field
        for name, field in found.items()
        if isinstance(field, models.CharField)
        and not isinstance(field, models.EmailField)
        and not field.choices
        and not {model._meta.label, f"{model._meta.label}.{name}"} & FREE.keys()
    }


def constrained(model: type[models.Model]) -> set[str]:
    conditions = [one.condition for one in model._meta.constraints if isinstance(one, models.CheckConstraint)]
    return {
        name.name
        for condition in conditions
        if isinstance(condition, text.Lacks)
        for name in condition.get_source_expressions()[0].get_source_expressions()
    }


class TestATextOfOneLine:
    @pytest.mark.parametrize("character", UNSEEN.values(), ids=UNSEEN)
    def test_is_refused_with_what_nobody_sees_in_it_and_the_sentence_says_where(self, character):
        told = text.objection(f"SH{character}1")

        code = f"U+{ord(character):04X}"
        assert told == (
            "This is a text of one line. Take the line break out."
            if character in "\n\u2028"
            else f"Character 3 is one that nobody sees ({f'{code} {unicodedata.name(character, str())}'.strip()}). "
            "Delete it, or type the text anew."
        )

    @pytest.mark.parametrize(
        "name", ["محمد بن سعيد", "Zoë & Søn (L.L.C.)", "भारत", "中文", "5 × 4″", "🚢 now", "۝", "ﷺ"]
    )
    def test_may_hold_whatever_has_a_shape(self, name):
        assert text.objection(name) == ""

    @pytest.mark.parametrize(
        ("given", "is_kept_as"),
        [
            (IN_SHAPES, MUHAMMAD),
            ("\ufefb", "لا"),
            ("شركة\u00a0 محمد ", "شركة محمد"),
            ("Zoe\u0308", "Zoë"),
            ("✈\ufe0f", "✈"),
            ("Ｆｕｌｌ – “as it is”", "Ｆｕｌｌ – “as it is”"),
        ],
    )
    def test_is_kept_in_letters_and_single_blanks(self, given, is_kept_as):
        assert text.kept(given) == is_kept_as

    def test_loses_for_an_import_what_nobody_sees_and_nothing_else(self):
        assert text.tidied("\u202bOne\u200b\ttwo\r\nthree\x07\ud800") == "One two three"

    def test_has_no_zero_width_or_direction_character_by_the_tables_of_unicode(self):
        formats = {chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cf", "Cc", "Zl", "Zp")}
        with_shape = {one for one in formats if re.match("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2]", one)}
        hieroglyphs = {one for one in formats if one > "\U00011000" and one < "\U00014000"}

        missed = {one for one in formats if not text.objection(one)}

        assert missed == with_shape | hieroglyphs

    def test_knows_every_shape_of_an_arabic_letter(self):
        shapes = [chr(code) for code in (*range(0xFB50, 0xFE00), *range(0xFE70, 0xFEFF))]

        kept = {one: text.kept(one) for one in shapes if unicodedata.decomposition(one)}

        assert len(kept) > 700
        assert not any(
            unicodedata.decomposition(letter) for letters in kept.values() for letter in letters if letter > "ﬀ"
        )
        assert all(text.kept(one) == one for one in shapes if one not in kept and not "\ufe00" <= one <= "\ufe0f")

    @given(some.text())
    def test_is_tidied_once_and_for_all(self, given):
        tidied = text.tidied(given)

        assert text.objection(tidied) == ""
        assert not re.search(text.NEVER_KEPT, tidied)
        assert text.tidied(tidied) == text.kept(tidied) == tidied


class TestANumber:
    @pytest.mark.parametrize(
        "given",
        [
            "SH-01",
            "SH‑01",
            "SH\u201301",
            "SH\u221201",
            "ＳＨ－０１",
            "SH-٠١",
            "SH-۰۱",
            " SH-01\u00a0",
            "S\u2060H-0\u00ad1\ufe0f",
        ],
    )
    def test_has_one_form(self, given):
        assert text.number(given) == "SH-01"

    @pytest.mark.parametrize("given", ["SH-1²", "SH-①", "SH_1", "SH/1", "SH 1", "ش-1"])
    def test_that_looks_different_stays_different(self, given):
        assert text.number(given) == given

    def test_keeps_its_capitals_and_is_compared_without(self):
        assert text.number("Sh-1a") == "Sh-1a"
        assert text.key("Sh-1a") == text.key("sH-1A")

    @given(some.text())
    def test_is_written_once_and_for_all(self, given):
        number = text.number(given)

        assert text.number(number) == number
        assert not re.search(text.NO_NUMBER, number)


@pytest.mark.django_db
class TestTheDatabase:
    def test_keeps_every_text_of_one_line(self):
        missing = {model._meta.label: lines_of(model).keys() - constrained(model) for model in ours()}

        assert {label: names for label, names in missing.items() if names} == {}
        assert sum(len(constrained(model)) for model in ours()) > 25

    def test_names_no_exception_that_is_none(self):
        known = {
            label
            for model in ours()
            for label in (
                model._meta.label,
                *(f"{model._meta.label}.{one.name}" for one in model._meta.concrete_fields),
            )
        }

        assert FREE.keys() <= known

    def test_refuses_the_same_characters_as_the_doors(self):
        every = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
        with connection.cursor() as cursor:
            cursor.execute("SELECT one FROM unnest(%s::text[]) one WHERE one ~ %s", [every, text.NEVER_KEPT])
            by_database = {one for (one,) in cursor}
            cursor.execute("SELECT one FROM unnest(%s::text[]) one WHERE one ~ %s", [every, text.NO_NUMBER])
            no_numbers = {one for (one,) in cursor}

        assert by_database == {one for one in every if re.search(text.NEVER_KEPT, one)}
        assert no_numbers == {one for one in every if re.search(text.NO_NUMBER, one)}

    @pytest.mark.parametrize("character", [*UNSEEN.values(), "\ufe0f", IN_SHAPES[0]])
    def test_refuses_what_came_in_by_none_of_the_doors(self, cast, character):
        with pytest.raises(IntegrityError, match="division_texts_are_of_one_line"), transaction.atomic():
            Division.objects.update(name=f"T{character}")

    def test_says_so_to_whoever_comes_by_a_door_that_does_not_ask(self, cast):
        with pytest.raises(ConstraintViolated, match="no line breaks"), explained(Division), transaction.atomic():
            Division.objects.update(name="T\n")
