from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts.models import Override, RoleGroup, User
from accounts.tests.people import caretaker, denied, fresh, granted, holding, role
from audit.models import AuditEntry
from clearance.tests import pages
from clearance.tests.traces import everything
from outbox.models import Message

pytestmark = pytest.mark.django_db

PEOPLE, ROLES = pages.list_of(User), pages.list_of(RoleGroup)
NOOR = {
    "full_name": "Noor Newcomer",
    "email": "Noor@Example.com",
    "department": "C&C",
    "role": "PPR",
    "language": "en",
    "time_zone": "Asia/Muscat",
}


class TestThePageOfAPerson:
    def test_tells_in_words_what_they_may_do(self, cast):
        granted(cast.cc_clerk, "workflow.reopen_workflowstep")
        denied(cast.cc_clerk, "metrics.view_metric")

        page = pages.words(pages.signed_in(cast.auditor).get(pages.of(cast.cc_clerk)).text)

        assert "Reopen steps of one's own department" in page.replace("&#x27;", "'")
        assert "Granted: Reopen steps" in page
        assert "Denied: See metrics (A test)" in page
        assert page.count("See metrics") == 1

    def test_says_so_when_they_may_nothing(self, cast):
        cast.storekeeper.groups.clear()
        accounts.deactivate(user=cast.cc_clerk, by=None, at=timezone.now())
        desk = pages.signed_in(cast.administrator)

        assert "waits for an administrator" in pages.words(desk.get(pages.of(cast.storekeeper)).text)
        assert "Nothing: the person is deactivated." in pages.words(desk.get(pages.of(cast.cc_clerk)).text)

    def test_gives_and_takes_further_roles(self, cast):
        made, other = role("audit.view_seal"), role(name="Other")
        holding(cast.cc_clerk, other)
        desk = pages.signed_in(cast.administrator)
        given = pages.filled_in(desk.get(pages.of(cast.cc_clerk)))

        desk.post(pages.of(cast.cc_clerk), given | {"further_roles": [made.pk]})

        assert {one.name for one in fresh(cast.cc_clerk).groups.all()} == {"C&C PPR", "Reporting"}

    def test_keeps_further_roles_when_something_else_is_saved(self, cast):
        holding(cast.cc_clerk, role())
        desk = pages.signed_in(cast.administrator)

        desk.post(pages.of(cast.cc_clerk), pages.filled_in(desk.get(pages.of(cast.cc_clerk))) | {"full_name": "Khalid"})

        assert fresh(cast.cc_clerk).full_name == "Khalid"
        assert fresh(cast.cc_clerk).groups.filter(name="Reporting").exists()

    def test_shows_further_roles_to_who_only_reads(self, cast):
        holding(cast.cc_clerk, role())

        assert "Reporting" in pages.signed_in(cast.cc_head).get(pages.of(cast.cc_clerk)).text

    def test_has_overrides_in_its_history_also_those_taken_back(self, cast):
        desk = pages.signed_in(cast.administrator)
        given = {"permission": "audit.view_seal", "is_granted": "yes", "reason": "Covers"}
        desk.post(pages.verb("override", cast.cc_clerk), given)
        desk.post(pages.verb("take_override_back", cast.cc_clerk), {"override": Override.objects.get().pk})

        history = pages.words(desk.get(reverse("admin:accounts_user_history", args=[cast.cc_clerk.pk])).text)

        assert "granted to Khalid Clerk: See the seals of the audit trail, reason: Covers" in history
        assert "left to the roles of Khalid Clerk again: See the seals of the audit trail" in history


class TestGrantingAndDenying:
    def test_offers_rights_in_words_by_kind_of_work(self, administrator, cc_clerk):
        form = pages.signed_in(administrator).get(pages.verb("override", cc_clerk)).context["form"]

        groups = dict(form.fields["permission"].choices)
        assert ("workflow.complete_workflowstep", "Complete one's own steps, or mark them as not required") in groups[
            "Steps"
        ]

    def test_reaches_the_desk_and_shows_what_it_refuses(self, cast):
        keeper = pages.signed_in(caretaker(cast))
        given = {"permission": "shipments.cancel_shipment", "is_granted": "yes", "reason": "Covers"}

        refused = keeper.post(pages.verb("override", cast.cc_clerk), given)
        keeper.post(pages.verb("override", cast.cc_clerk), given | {"is_granted": "no"})

        assert "Cancel shipments" in pages.errors_of(refused)["__all__"][0]
        assert AuditEntry.objects.filter(action="denied").count() == 1
        assert not Override.objects.get().is_granted

    def test_of_several_at_once_is_the_same_right_for_each(self, administrator, cc_clerk, cc_head):
        desk, address = pages.signed_in(administrator), pages.verb("override", cc_clerk, cc_head)
        assert desk.get(address).status_code == 200

        desk.post(address, {"permission": "audit.view_seal", "is_granted": "yes", "reason": "Covers"})

        assert {one.user for one in Override.objects.all()} == {cc_clerk, cc_head}

    def test_is_not_for_heads(self, cc_head, cc_clerk):
        for verb in ("override", "take_override_back", "invite_again"):
            assert pages.signed_in(cc_head).get(pages.verb(verb, cc_clerk)).status_code == 403

    def test_offers_nobody_elses_override(self, cast):
        denied(cast.cc_head, "metrics.view_metric")
        denied(cast.cc_clerk, "metrics.view_metric")
        theirs = Override.objects.get(user=cast.cc_head)

        answer = pages.signed_in(cast.administrator).post(
            pages.verb("take_override_back", cast.cc_clerk), {"override": theirs.pk}
        )

        assert "override" in pages.errors_of(answer)
        assert Override.objects.count() == 2


class TestInvitingAtTheBackOffice:
    def test_is_what_adding_without_a_password_does(self, administrator):
        answer = pages.signed_in(administrator).post(pages.adding(User), NOOR, follow=True)

        assert ("info", "A mail with a link is on its way to Noor Newcomer.") in pages.told(answer)
        assert Message.objects.get().kind == "invitation"

    def test_writes_no_mail_where_a_password_is_given(self, administrator):
        pages.signed_in(administrator).post(pages.adding(User), NOOR | {"password": "Tall-ship-sails-9"})

        assert User.objects.get(email="noor@example.com").has_usable_password()
        assert not Message.objects.exists()

    def test_again_is_offered_until_they_come(self, administrator, cc_clerk):
        desk = pages.signed_in(administrator)
        desk.post(pages.adding(User), NOOR)
        noor = User.objects.get(email="noor@example.com")
        assert "Invite again" in pages.buttons(desk.get(pages.of(noor)))
        assert "Invite again" not in pages.buttons(desk.get(pages.of(cc_clerk)))

        answer = desk.post(pages.verb("invite_again", noor), follow=True)

        assert pages.told(answer) == [("success", "A mail with a link is on its way to Noor Newcomer.")]
        assert Message.objects.filter(kind="invitation").count() == 2

    def test_can_be_previewed_without_its_link(self, administrator):
        desk = pages.signed_in(administrator)
        desk.post(pages.adding(User), NOOR)

        page = desk.get(pages.of(Message.objects.get()))

        assert page.status_code == 200
        assert "•••" in page.text or "token" not in page.text


class TestTheListOfPeople:
    def test_finds_who_waits_for_an_administrator(self, cast):
        cast.storekeeper.groups.clear()

        page = pages.signed_in(cast.administrator).get(f"{PEOPLE}?waiting=yes")

        assert [one.full_name for one in page.context["cl"].result_list] == [cast.storekeeper.full_name]


class TestThePageOfRoles:
    def test_lists_further_ones_first(self, cast):
        holding(cast.cc_clerk, role("audit.view_seal"))

        page = pages.signed_in(cast.auditor).get(ROLES)

        assert page.context["cl"].result_list[0].name == "Reporting"
        assert "Customs &amp; Clearance, PPR" in page.text

    def test_makes_changes_and_deletes_further_ones(self, administrator):
        desk = pages.signed_in(administrator)

        desk.post(pages.adding(RoleGroup), {"name": "Reporting", "permissions": ["metrics.view_metric"]})
        made = RoleGroup.objects.get(name="Reporting")
        desk.post(pages.of(made), {"name": "Seals", "permissions": ["audit.view_seal"]})
        changed = RoleGroup.objects.get(pk=made.pk)
        held = [one.codename for one in changed.permissions.all()]
        desk.post(pages.verb("delete", made))

        assert (changed.name, held) == ("Seals", ["view_seal"])
        assert not RoleGroup.objects.filter(pk=made.pk).exists()

    def test_calls_one_of_the_system_as_the_list_does_and_says_why_it_stays(self, cast):
        system = RoleGroup.objects.get(name="C&C PPR")

        page = pages.signed_in(cast.administrator).get(pages.of(system))

        assert page.context["title"] == "Customs & Clearance, PPR (primary person responsible)"
        assert "It stays as it is; add a role for anything else." in pages.words(page.text)

    def test_shows_those_of_the_system_and_changes_none(self, cast):
        desk, system = pages.signed_in(cast.administrator), RoleGroup.objects.get(name="C&C PPR")
        before = everything()

        page = desk.get(pages.of(system))
        answers = [
            desk.post(pages.of(system), {"name": "Mine", "permissions": []}),
            desk.post(pages.verb("delete", system)),
        ]

        assert "Complete one" in page.text
        assert cast.cc_clerk.full_name in page.text
        assert answers[0].status_code == 403
        assert "follows from department and role" in pages.errors_of(answers[1])["__all__"][0]
        assert pages.buttons(page) == set()
        assert everything() == before

    def test_says_why_a_role_is_not_deleted_or_named_so(self, cast):
        made = role()
        holding(cast.cc_clerk, made)
        desk = pages.signed_in(cast.administrator)

        deleting = desk.post(pages.verb("delete", made))
        naming = desk.post(pages.adding(RoleGroup), {"name": "administrator"})

        assert "Take the role from them first." in pages.errors_of(deleting)["__all__"][0]
        assert "already" in pages.errors_of(naming)["name"][0]

    def test_is_read_only_for_who_sees_people_and_closed_to_others(self, cast):
        made = role()

        assert pages.signed_in(cast.cc_head).get(pages.of(made)).status_code == 200
        assert pages.signed_in(cast.cc_head).post(pages.of(made), {"name": "Mine"}).status_code == 403
        assert pages.signed_in(cast.cc_head).get(pages.adding(RoleGroup)).status_code == 403
        assert pages.signed_in(cast.cc_clerk).get(ROLES).status_code == 403
        assert Client().get(ROLES).status_code == 302

    def test_has_its_history(self, cast):
        desk = pages.signed_in(cast.administrator)
        desk.post(pages.adding(RoleGroup), {"name": "Reporting", "permissions": ["metrics.view_metric"]})
        made = RoleGroup.objects.get(name="Reporting")

        history = pages.words(desk.get(reverse("admin:accounts_rolegroup_history", args=[made.pk])).text)

        assert "right See metrics added" in history
