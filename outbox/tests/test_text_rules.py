from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearance.errors import DomainError
from outbox import rules
from outbox.choices import SmsName
from outbox.errors import BracesUnmatched, TextTooLong, UnknownVariables
from outbox.rules import VARIABLES, filled, require_good_text, segments

NAMES = st.sampled_from(SmsName.values)
PIECES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["{", "}", "{{", "}}", "{{ link }}", "{{number}}", "{{code}}", "{{ unknown }}", "{{{count}}}"]),
)


class TestSegments:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", 1),
            ("a" * 160, 1),
            ("a" * 161, 2),
            ("a" * 306, 2),
            ("a" * 307, 3),
            ("€" * 80, 1),
            ("€" * 81, 2),
            ("a" * 152 + "€" * 5, 2),  # 162 septets: over one, and the first euro sign does not fit behind 152
            ("ب" * 70, 1),
            ("ب" * 71, 2),
            ("ب" * 134, 2),
            ("ب" * 135, 3),
            ("a" * 69 + "…", 1),
            ("a" * 70 + "…", 2),
            ("😀" * 35, 1),
            ("😀" * 36, 2),
            ("😀" * 67, 3),  # 33 to a part of 67: none is cut in half
        ],
    )
    def test_are_counted_as_networks_do(self, text, expected):
        assert segments(text) == expected

    @given(st.text(max_size=700))
    def test_hold_the_whole_text_and_are_no_more_than_needed(self, text):
        is_gsm = set(text) <= rules._GSM | rules._GSM_EXTENDED
        room = sum(map(size_of, text)) if is_gsm else len(text.encode("utf-16-le", "surrogatepass")) // 2
        alone, each = (160, 153) if is_gsm else (70, 67)

        count = segments(text)

        assert (count == 1) == (room <= alone)
        assert room <= max(alone, count * each)
        assert count <= max(1, -(-room // (each - 1)))

    @given(st.text(max_size=200), st.text(max_size=200))
    def test_never_become_fewer_by_more_text(self, text, more):
        assert segments(text + more) >= segments(text)


def size_of(letter: str) -> int:
    return 2 if letter in rules._GSM_EXTENDED else 1


class TestAGoodText:
    @pytest.mark.parametrize("content", ["{{number}} {{ step }}", "no variable at all", "a { b } c", "{{{omr}}}"])
    def test_passes(self, content):
        require_good_text(SmsName.URGENT_ALERT, content)

    def test_knows_its_variables_only(self):
        with pytest.raises(UnknownVariables) as refusal:
            require_good_text(SmsName.URGENT_ALERT, "{{number}} {{nmber}} {{code}}")

        assert "knows no code, nmber" in str(refusal.value)
        assert "number, step, omr, count, link" in str(refusal.value)

    @pytest.mark.parametrize("content", ["{{number}", "{{ }}", "{{number.pk}}", "{{ a b }}", "}} {{", "{{{{number}}}}"])
    def test_leaves_no_braces_over(self, content):
        with pytest.raises(BracesUnmatched):
            require_good_text(SmsName.URGENT_ALERT, content)

    @pytest.mark.parametrize("content", ["a" * 459, "ب" * 201])
    def test_may_be_three_messages_long(self, content):
        require_good_text(SmsName.URGENT_ALERT, content)

        with pytest.raises(TextTooLong) as refusal:
            require_good_text(SmsName.URGENT_ALERT, f"{content}{content[0]}")
        assert "this is 4 text messages" in str(refusal.value)

    def test_is_measured_with_its_longest_values(self):
        require_good_text(SmsName.URGENT_ALERT, "a" * 429 + "{{step}}")

        with pytest.raises(TextTooLong):
            require_good_text(SmsName.URGENT_ALERT, "a" * 430 + "{{step}}")

    @given(NAMES, st.lists(PIECES, max_size=8).map("".join), st.data())
    def test_is_filled_in_whatever_the_values_and_leaves_no_variable(self, name, content, data):
        try:
            require_good_text(name, content)
        except DomainError:
            return
        words = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=90)
        values = {variable: data.draw(words) for variable in VARIABLES[name]}

        said = filled(name, content, values)

        assert "{{" not in said
        assert "}}" not in said

    @given(st.text(max_size=60))
    def test_looks_at_no_value_again(self, value):
        assert filled(SmsName.SECOND_FACTOR_CODE, "<{{code}}>", {"code": value, "minutes": ""}) == (
            f"<{VARIABLES[SmsName.SECOND_FACTOR_CODE]['code'].fitted(value)}>"
        )


class TestAValue:
    def test_is_cut_to_its_length_with_dots_that_cost_no_other_alphabet(self):
        said = filled(SmsName.URGENT_ALERT, "{{number}}", {"number": "N" * 40})

        assert said == f"{'N' * 21}..."
        assert segments(said) == 1

    def test_that_is_a_link_is_never_cut(self):
        link = f"https://clearance.example.com/{'x' * 100}"

        assert filled(SmsName.URGENT_ALERT, "{{link}}", {"link": link}) == link


@pytest.mark.parametrize("name", SmsName)
def test_every_text_has_its_variables(name):
    assert VARIABLES[name]


@pytest.mark.parametrize(("phone", "told"), [("+96891234567", "…567"), ("", "…")])
def test_a_phone_number_is_told_by_its_end(phone, told):
    assert rules.masked(phone) == told
