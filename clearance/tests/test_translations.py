from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as translated

CATALOGUE = settings.BASE_DIR / "clearance" / "locale" / "ar" / "LC_MESSAGES" / "django.po"
APPS = ("accounts", "alerts", "audit", "clearance", "metrics", "outbox", "shipments", "workflow")
CALLS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_COUNT = re.compile(r"%\((?:count|counter|day|days)\)[sd]|\{(?:count|day|days)\}")
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{[\w.:%/]*\}")


def text(lines: str) -> str:
    return "".join(
        part.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\") for part in _STRING.findall(lines)
    )


def entries() -> Iterator[tuple[str, list[str]]]:
    """Each sentence of the catalogue with its translations (one, or one per plural form)."""
    for entry in CATALOGUE.read_text().split("\n\n"):
        found = dict(re.findall(r'^(msgid|msgstr(?:\[\d\])?) ((?:".*"\n?)+)', entry, re.MULTILINE))
        yield text(found.pop("msgid")), [text(lines) for lines in found.values()]


def sources() -> Iterator[Path]:
    for app in APPS:
        for path in (settings.BASE_DIR / app).rglob("*.py"):
            if not {"tests", "migrations", "formats"} & set(path.parts):
                yield path


def said_in_code() -> set[str]:
    calls = (node for path in sources() for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {
        str(call.args[0].value)
        for call in calls
        if getattr(call.func, "id", "") in CALLS and call.args and isinstance(call.args[0], ast.Constant)
    }


def said_in_templates() -> set[str]:
    found = set()
    for path in (settings.BASE_DIR / "templates").rglob("*.html"):
        content = path.read_text()
        found.update(re.findall(r'{% translate "([^"]+)"', content), re.findall(r'[:|]_\("([^"]+)"\)', content))
        for block in re.findall(r"{% blocktranslate.*?%}(.*?){% (?:plural|endblocktranslate) %}", content, re.DOTALL):
            found.add(re.sub(r"{{ (\w+) }}", r"%(\1)s", block))
    return found


class TestTheArabicCatalogue:
    def test_translates_every_sentence(self):
        untranslated = [sentence for sentence, translations in entries() if not all(translations)]

        assert untranslated == []

    @pytest.mark.parametrize("said", [said_in_code, said_in_templates])
    def test_knows_every_sentence_of_ours(self, said):
        known = {sentence for sentence, _ in entries()}

        assert sorted(said() - known) == []

    def test_keeps_every_placeholder(self):
        broken = [
            sentence
            for sentence, translations in entries()
            for one in translations
            if sentence and not self.keeps(sentence, one, is_plural=len(translations) > 1)
        ]

        assert broken == []

    @staticmethod
    def keeps(sentence: str, translation: str, *, is_plural: bool) -> bool:
        """The same placeholders; only the number of a plural may be a word (“two days” is one word in Arabic)."""
        wanted, found = (
            sorted(one for one in _PLACEHOLDER.findall(text) if not (is_plural and _COUNT.fullmatch(one)))
            for text in (sentence, translation)
        )
        return wanted == found

    def test_is_compiled_as_it_stands(self):
        with CATALOGUE.with_suffix(".mo").open("rb") as compiled:
            catalogue = gettext.GNUTranslations(compiled)

        for sentence, translations in entries():
            if len(translations) == 1 and sentence:
                assert catalogue.gettext(sentence) == translations[0]
            elif sentence:
                assert {catalogue.ngettext(sentence, sentence, n) for n in (0, 1, 2, 3, 11, 100)} == set(translations)

    def test_speaks(self):
        with translation.override("ar"):
            assert translated("shipments") == "الشحنات"
