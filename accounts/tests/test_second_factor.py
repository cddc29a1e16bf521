from __future__ import annotations

import re
from datetime import timedelta

import pyotp
import pytest
from django.conf import settings as configured

from accounts import services as accounts
from accounts import tokens
from accounts.errors import (
    AccountLocked,
    InvalidSecondFactorCode,
    SecondFactorIsOff,
    SecondFactorIsOn,
    SecondFactorRequired,
    TokenRefused,
    TotpRequired,
    WrongPassword,
)
from accounts.models import BackupCode, SecondFactor, User
from audit.models import AuditEntry
from clearance.errors import Forbidden
from clearance.tests import races
from clearance.tests.cast import PASSWORD
from clearance.tests.traces import everything, refused

pytestmark = pytest.mark.django_db

HERE = "192.0.2.7"
STEP = timedelta(seconds=30)


def code_of(secret: str, at) -> str:
    """What the app shows at a moment."""
    return pyotp.TOTP(secret).at(at)


def sign_in(user, *, at, **more):
    return accounts.sign_in(email=user.email, password=PASSWORD, at=at, ip_address=HERE, **more)


def own(user, *, at, password=PASSWORD):
    return {"user": user, "password": password, "at": at, "ip_address": HERE}


@pytest.fixture
def enrolled(cast, noon):
    """The clerk's secret and backup codes; the app was set up an hour ago."""
    at = noon - timedelta(hours=1)
    made = accounts.set_up_second_factor(user=cast.cc_clerk, password=PASSWORD, at=at, ip_address=None)
    return made.secret, accounts.enable_second_factor(user=cast.cc_clerk, code=code_of(made.secret, at), at=at)


class TestSettingUp:
    def test_offers_the_secret_as_text_address_and_picture(self, cast, noon):
        made = accounts.set_up_second_factor(user=cast.cc_clerk, password=PASSWORD, at=noon, ip_address=None)

        address = pyotp.parse_uri(made.otpauth_uri)
        assert (address.secret, address.name, address.issuer) == (made.secret, cast.cc_clerk.email, "Clearance")
        assert made.qr_code.startswith("data:image/png;base64,")

    def test_keeps_the_secret_where_nobody_reads_it(self, cast, noon):
        secret = accounts.set_up_second_factor(user=cast.cc_clerk, password=PASSWORD, at=noon, ip_address=None).secret

        assert secret not in str(everything())
        told = str(list(AuditEntry.objects.values_list("changes", flat=True)))
        assert "accounts.secondfactor" in AuditEntry.objects.values_list("entity_type", flat=True)
        assert SecondFactor.objects.get().secret not in told

    def test_asks_for_no_code_before_the_first_one(self, cast, noon):
        accounts.set_up_second_factor(user=cast.cc_clerk, password=PASSWORD, at=noon, ip_address=None)

        assert sign_in(cast.cc_clerk, at=noon)

    def test_may_begin_anew_with_another_secret(self, cast, noon):
        first, second = (accounts.set_up_second_factor(**own(cast.cc_clerk, at=noon)) for _ in range(2))

        assert accounts.pending_second_factor(cast.cc_clerk, at=noon) == second
        with refused(InvalidSecondFactorCode, "INVALID_2FA_CODE"):
            accounts.enable_second_factor(user=cast.cc_clerk, code=code_of(first.secret, noon), at=noon)

    def test_is_refused_where_there_is_one(self, cast, noon, enrolled):
        with refused(SecondFactorIsOn, "SECOND_FACTOR_IS_ON"):
            accounts.set_up_second_factor(user=cast.cc_clerk, password=PASSWORD, at=noon, ip_address=None)
        with refused(SecondFactorIsOn, "SECOND_FACTOR_IS_ON"):
            accounts.enable_second_factor(user=cast.cc_clerk, code=code_of(enrolled[0], noon), at=noon)

    def test_needs_the_password(self, cast, noon):
        with refused(WrongPassword, "INVALID_CREDENTIALS"):
            accounts.set_up_second_factor(**own(cast.cc_clerk, at=noon, password="Wrong-9"))

        assert not SecondFactor.objects.exists()

    def test_locks_whoever_guesses_at_the_password(self, cast, noon):
        for _ in range(5):
            with pytest.raises(WrongPassword):
                accounts.set_up_second_factor(**own(cast.cc_clerk, at=noon, password="Wrong-9"))

        with refused(AccountLocked, "ACCOUNT_LOCKED"):
            accounts.set_up_second_factor(**own(cast.cc_clerk, at=noon))

    @pytest.mark.parametrize(("minutes", "is_good"), [(14, True), (15, False)])
    def test_is_ended_within_a_quarter_of_an_hour_or_begun_anew(self, cast, noon, minutes, is_good):
        at = noon + timedelta(minutes=minutes)
        made = accounts.set_up_second_factor(**own(cast.cc_clerk, at=noon))

        assert accounts.pending_second_factor(cast.cc_clerk, at=at) == (made if is_good else None)
        if is_good:
            assert accounts.enable_second_factor(user=cast.cc_clerk, code=code_of(made.secret, at), at=at)
        else:
            with refused(SecondFactorIsOff, "SECOND_FACTOR_IS_OFF"):
                accounts.enable_second_factor(user=cast.cc_clerk, code=code_of(made.secret, at), at=at)

    def test_ends_every_sign_in_that_the_password_alone_opened_but_this_one(self, cast, noon):
        here, there = (sign_in(cast.cc_clerk, at=noon) for _ in range(2))
        kept = tokens.read(here.refresh_token, kind=tokens.Kind.REFRESH, at=noon).sign_in_id
        made = accounts.set_up_second_factor(**own(cast.cc_clerk, at=noon))

        accounts.enable_second_factor(user=cast.cc_clerk, code=code_of(made.secret, noon), at=noon, but=kept)

        assert accounts.refresh(refresh_token=here.refresh_token, at=noon)
        with pytest.raises(TokenRefused):
            accounts.refresh(refresh_token=there.refresh_token, at=noon)

    def test_cannot_be_ended_before_it_was_begun(self, cast, noon):
        with refused(SecondFactorIsOff, "SECOND_FACTOR_IS_OFF"):
            accounts.enable_second_factor(user=cast.cc_clerk, code="123456", at=noon)

    def test_gives_ten_different_codes_and_keeps_their_hashes(self, enrolled):
        codes = enrolled[1]

        assert len(set(codes)) == 10
        kept = str(list(BackupCode.objects.values()))
        assert not any(code in kept for code in codes)


class TestSigningInWithASecondFactor:
    def test_asks_for_the_code_after_the_password(self, cast, noon, enrolled):
        with refused(TotpRequired, "TOTP_REQUIRED"):
            sign_in(cast.cc_clerk, at=noon)

        assert sign_in(cast.cc_clerk, at=noon, totp_code=code_of(enrolled[0], noon))

    def test_tells_nothing_of_it_to_who_does_not_know_the_password(self, cast, noon, enrolled):
        with pytest.raises(Exception, match="E-mail or password is wrong"):
            accounts.sign_in(
                email=cast.cc_clerk.email, password="Wrong-9", at=noon, ip_address=HERE, totp_code="123456"
            )

    @pytest.mark.parametrize(("steps", "is_good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
    def test_allows_clocks_to_drift_by_one_step(self, cast, noon, enrolled, steps, is_good):
        code = code_of(enrolled[0], noon + steps * STEP)

        if is_good:
            assert sign_in(cast.cc_clerk, at=noon, totp_code=code)
        else:
            with refused(InvalidSecondFactorCode, "INVALID_2FA_CODE"):
                sign_in(cast.cc_clerk, at=noon, totp_code=code)

    def test_takes_no_code_twice_and_none_from_before(self, cast, noon, enrolled):
        before, code = code_of(enrolled[0], noon - STEP), code_of(enrolled[0], noon)
        sign_in(cast.cc_clerk, at=noon, totp_code=code)

        for used in (code, before):
            with refused(InvalidSecondFactorCode, "INVALID_2FA_CODE"):
                sign_in(cast.cc_clerk, at=noon, totp_code=used)
        assert sign_in(cast.cc_clerk, at=noon + STEP, totp_code=code_of(enrolled[0], noon + STEP))

    def test_does_not_take_the_code_that_turned_it_on(self, cast, noon):
        made = accounts.set_up_second_factor(user=cast.cc_clerk, password=PASSWORD, at=noon, ip_address=None)
        code = code_of(made.secret, noon)
        accounts.enable_second_factor(user=cast.cc_clerk, code=code, at=noon)

        with refused(InvalidSecondFactorCode, "INVALID_2FA_CODE"):
            sign_in(cast.cc_clerk, at=noon, totp_code=code)

    @pytest.mark.parametrize("digits", ["٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹"])
    def test_takes_codes_in_arabic_digits(self, cast, noon, enrolled, digits):
        in_arabic = str.maketrans("0123456789", digits)
        code, backup = code_of(enrolled[0], noon), next(one for one in enrolled[1] if re.search(r"\d", one))

        for given in (code, backup):
            assert sign_in(cast.cc_clerk, at=noon, totp_code=given.translate(in_arabic))
            with pytest.raises(InvalidSecondFactorCode):
                sign_in(cast.cc_clerk, at=noon, totp_code=given)

    def test_takes_each_backup_code_once_as_people_type_it(self, cast, noon, enrolled):
        one, other = enrolled[1][:2]

        assert sign_in(cast.cc_clerk, at=noon, totp_code=one)
        assert sign_in(cast.cc_clerk, at=noon, totp_code=other.upper().replace("-", " "))
        with refused(InvalidSecondFactorCode, "INVALID_2FA_CODE"):
            sign_in(cast.cc_clerk, at=noon, totp_code=one)
        assert accounts.backup_codes_left(cast.cc_clerk) == 8

    @pytest.mark.parametrize("code", ["000", "abcdef", "١٢٣٤٥٦", "", "x" * 30])
    def test_survives_what_is_no_code(self, cast, noon, enrolled, code):
        with pytest.raises((InvalidSecondFactorCode, TotpRequired)):
            sign_in(cast.cc_clerk, at=noon, totp_code=code)

    def test_locks_the_account_after_five_wrong_codes(self, cast, noon, enrolled):
        for _ in range(5):
            with pytest.raises(InvalidSecondFactorCode):
                sign_in(cast.cc_clerk, at=noon, totp_code="no code")

        with refused(AccountLocked, "ACCOUNT_LOCKED"):
            sign_in(cast.cc_clerk, at=noon, totp_code=code_of(enrolled[0], noon))

    def test_is_not_made_easier_by_the_password_alone_in_between(self, cast, noon, enrolled):
        for _ in range(2):
            for more in ({"totp_code": "no code"}, {}):
                with pytest.raises((InvalidSecondFactorCode, TotpRequired)):
                    sign_in(cast.cc_clerk, at=noon, **more)
        with pytest.raises(InvalidSecondFactorCode):
            sign_in(cast.cc_clerk, at=noon, totp_code="no code")

        with refused(AccountLocked, "ACCOUNT_LOCKED"):
            sign_in(cast.cc_clerk, at=noon)

    def test_is_impossible_once_the_key_of_the_secret_is_gone(self, cast, noon, enrolled, settings):
        settings.SECRET_KEY, old = "another key, of a decent length, for the tests", configured.SECRET_KEY

        with refused(InvalidSecondFactorCode, "INVALID_2FA_CODE"):
            sign_in(cast.cc_clerk, at=noon, totp_code=code_of(enrolled[0], noon))

        settings.SECRET_KEY_FALLBACKS = [old]
        assert sign_in(cast.cc_clerk, at=noon, totp_code=code_of(enrolled[0], noon))

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("is_backup_code", [False, True])
    def test_with_the_same_code_twice_at_the_same_moment_lets_one_in(self, cast, noon, enrolled, is_backup_code):
        code = enrolled[1][0] if is_backup_code else code_of(enrolled[0], noon)
        held = BackupCode.objects.all() if is_backup_code else SecondFactor.objects.all()

        results = races.at_once(*[lambda: sign_in(cast.cc_clerk, at=noon, totp_code=code)] * 2, held=held)

        assert sorted(type(result).__name__ for result in results) == ["InvalidSecondFactorCode", "Tokens"]


class TestDoingWithout:
    def test_needs_the_password_and_then_no_code(self, cast, noon, enrolled):
        with refused(WrongPassword, "INVALID_CREDENTIALS"):
            accounts.disable_second_factor(**own(cast.cc_clerk, at=noon, password="Wrong-9"))

        accounts.disable_second_factor(**own(cast.cc_clerk, at=noon))

        assert not BackupCode.objects.exists()
        assert sign_in(cast.cc_clerk, at=noon)

    def test_is_refused_where_there_is_none(self, cast, noon):
        with refused(SecondFactorIsOff, "SECOND_FACTOR_IS_OFF"):
            accounts.disable_second_factor(**own(cast.cc_clerk, at=noon))

    def test_is_refused_where_the_role_requires_one(self, cast, noon, enrolled):
        accounts.require_second_factor(roles=["PPR"], by=cast.administrator)

        with refused(SecondFactorRequired, "SECOND_FACTOR_REQUIRED"):
            accounts.disable_second_factor(**own(cast.cc_clerk, at=noon))


class TestNewBackupCodes:
    def test_take_the_place_of_the_old_ones(self, cast, noon, enrolled):
        codes = accounts.regenerate_backup_codes(**own(cast.cc_clerk, at=noon))

        with refused(InvalidSecondFactorCode, "INVALID_2FA_CODE"):
            sign_in(cast.cc_clerk, at=noon, totp_code=enrolled[1][0])
        assert sign_in(cast.cc_clerk, at=noon, totp_code=codes[0])

    def test_need_the_password_and_a_second_factor(self, cast, noon, enrolled):
        with refused(WrongPassword, "INVALID_CREDENTIALS"):
            accounts.regenerate_backup_codes(**own(cast.cc_clerk, at=noon, password="Wrong-9"))
        with refused(SecondFactorIsOff, "SECOND_FACTOR_IS_OFF"):
            accounts.regenerate_backup_codes(**own(cast.cc_head, at=noon))


class TestAnAdministrator:
    def test_requires_it_of_exactly_these_roles(self, cast):
        accounts.require_second_factor(roles=["PPR", "APR"], by=cast.administrator)
        accounts.require_second_factor(roles=["PPR", "Admin"], by=cast.administrator)

        owing = User.objects.with_owed_factor().filter(owes_second_factor=True)
        assert set(owing.values_list("role", flat=True)) == {"PPR", "Admin"}
        assert not User.objects.get(pk=cast.cc_alternate.pk).owes_second_factor

    def test_resets_what_somebody_lost(self, cast, noon, enrolled):
        accounts.reset_second_factor(user_id=cast.cc_clerk.pk, by=cast.administrator, at=noon)

        assert sign_in(cast.cc_clerk, at=noon)
        with refused(SecondFactorIsOff, "SECOND_FACTOR_IS_OFF"):
            accounts.reset_second_factor(user_id=cast.cc_clerk.pk, by=cast.administrator, at=noon)

    def test_is_the_only_one_who_may(self, cast, noon, enrolled):
        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.require_second_factor(roles=["PPR"], by=cast.cc_head)
        with refused(Forbidden, "PERMISSION_DENIED"):
            accounts.reset_second_factor(user_id=cast.cc_clerk.pk, by=cast.cc_head, at=noon)
