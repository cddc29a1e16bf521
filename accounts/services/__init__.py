"""Verbs about people: who they are, when they are away, how they sign in and what guards it, requests that repeat."""

from accounts.services.absences import record_absence, remove_absence
from accounts.services.lockout import locked_until, unlock
from accounts.services.passwords import (
    change_password,
    request_reset,
    require_good_password,
    reset_password,
    send_verification,
    set_password,
    verify_email,
)
from accounts.services.people import (
    amend_person,
    choose_language,
    deactivate,
    load_system_roles,
    save_division,
    settle_role,
    take_on,
)
from accounts.services.repeats import ANSWERS_ARE_KEPT_FOR, Answer, answer_once, forget_kept_answers
from accounts.services.second_factor import (
    Enrolment,
    backup_codes_left,
    disable_second_factor,
    enable_second_factor,
    pending_second_factor,
    regenerate_backup_codes,
    require_second_factor,
    reset_second_factor,
    set_up_second_factor,
)
from accounts.services.sessions import (
    Tokens,
    forget_expired_sign_ins,
    note_actor,
    refresh,
    sign_out,
    sign_out_everywhere,
)
from accounts.services.sign_in import prove_code, prove_password, sign_in

__all__ = [
    "ANSWERS_ARE_KEPT_FOR",
    "Answer",
    "Enrolment",
    "Tokens",
    "amend_person",
    "answer_once",
    "backup_codes_left",
    "change_password",
    "choose_language",
    "deactivate",
    "disable_second_factor",
    "enable_second_factor",
    "forget_expired_sign_ins",
    "forget_kept_answers",
    "load_system_roles",
    "locked_until",
    "note_actor",
    "pending_second_factor",
    "prove_code",
    "prove_password",
    "record_absence",
    "refresh",
    "regenerate_backup_codes",
    "remove_absence",
    "request_reset",
    "require_good_password",
    "require_second_factor",
    "reset_password",
    "reset_second_factor",
    "save_division",
    "send_verification",
    "set_password",
    "set_up_second_factor",
    "settle_role",
    "sign_in",
    "sign_out",
    "sign_out_everywhere",
    "take_on",
    "unlock",
    "verify_email",
]
