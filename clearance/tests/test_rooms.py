from __future__ import annotations

from django.apps import apps
from django.conf import settings

from clearance.admin.pages import Page
from clearance.rooms import rooms
from outbox.messages import kinds


class TestTheRooms:
    def test_come_from_the_ground_up(self):
        found = [room.__name__ for room in rooms("pages")]

        assert found == [f"{name}.pages" for name in settings.OUR_APPS if f"{name}.pages" in found]
        assert {"accounts.pages", "metrics.pages", "workflow.pages"} <= set(found)

    def test_are_those_of_our_apps_only(self):
        assert {app.name for app in apps.get_app_configs()} > set(settings.OUR_APPS)
        assert [room.__name__.partition(".")[0] for room in rooms("models")] == settings.OUR_APPS

    def test_that_nobody_has_are_none(self):
        assert rooms("no_such_room") == ()


class TestWhatIsBrought:
    def test_has_one_address_and_one_name_each(self):
        pages: list[Page] = [page for room in rooms("pages") for page in getattr(room, "PAGES", ())]

        assert len({page.route for page in pages}) == len({page.name for page in pages}) == len(pages) > 10

    def test_has_one_code_for_each_kind_of_mail(self):
        brought = [kind.code for room in rooms("mails") for kind in room.KINDS]

        assert sorted(brought) == sorted(kinds())

    def test_has_one_name_for_each_task_of_the_schedule(self):
        names = [task.name for room in rooms("reference") for task in getattr(room, "SCHEDULE", ())]

        assert len(set(names)) == len(names) > 5
