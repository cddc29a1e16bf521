"""Write paths: what Django's models and plain SQL can do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import F

from accounts.models import Division, User
from alerts.models import Holiday
from audit.tests.paths import Stage, path
from audit.tests.trails import Told, changed, created, deleted
from shipments.models import Shipment
from workflow.models import WorkflowStep

VESSEL = {"vessel": ["", "Sea Star"]}


def run(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


@path("save()")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    with stage.acting():
        shipment.vessel, shipment.invoice_amount_omr = "Sea Star", Decimal("9.5")
        shipment.save()
    return [changed(shipment, **VESSEL, invoice_amount_omr=["12345.678", "9.500"])]


@path("save(update_fields)")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    with stage.acting():
        shipment.vessel = "Sea Star"
        shipment.save(update_fields=["vessel"])
    return [changed(shipment, **VESSEL)]


@path("create()")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        division = Division.objects.create(code="NEW", name="New")
    return [created(division, code="NEW", name="New")]


@path("get_or_create()")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        division, _ = Division.objects.get_or_create(code="NEW", defaults={"name": "New"})
    return [created(division, name="New")]


@path("update_or_create()")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        division, _ = Division.objects.update_or_create(code="TBL", defaults={"name": "Tyres"})
    return [changed(division, name=["Tyres, batteries and lubricants", "Tyres"])]


@path("bulk_create()")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        made = Division.objects.bulk_create([Division(code=f"N{n}", name=f"New {n}") for n in range(3)])
    return [created(division, code=division.code) for division in made]


@path("bulk_create(ignore_conflicts)")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        Division.objects.bulk_create(
            [Division(code="TBL", name="Taken"), Division(code="NEW", name="New")], ignore_conflicts=True
        )
    return [created(Division.objects.get(code="NEW"), name="New")]


@path("bulk_create(update_conflicts)")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        Division.objects.bulk_create(
            [Division(code="TBL", name="Tyres"), Division(code="NEW", name="New")],
            update_conflicts=True,
            unique_fields=["code"],
            update_fields=["name"],
        )
    return [
        changed(stage.cast.tyres, name=["Tyres, batteries and lubricants", "Tyres"]),
        created(Division.objects.get(code="NEW"), name="New"),
    ]


@path("bulk_update()")
def _(stage: Stage) -> list[Told]:
    shipments = [stage.shipment(), stage.shipment()]
    with stage.acting():
        for shipment in shipments:
            shipment.vessel = "Sea Star"
        Shipment.objects.bulk_update(shipments, ["vessel"])
    return [changed(shipment, **VESSEL) for shipment in shipments]


@path("update()")
def _(stage: Stage) -> list[Told]:
    shipments = [stage.shipment(), stage.shipment()]
    with stage.acting():
        Shipment.objects.filter(pk__in=[one.pk for one in shipments]).update(vessel="Sea Star")
    return [changed(shipment, **VESSEL) for shipment in shipments]


@path("update(F())")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    with stage.acting():
        Shipment.objects.filter(pk=shipment.pk).update(version=F("version") + 1)
    return [changed(shipment, version=[1, 2])]


@path("update() of a step")
def _(stage: Stage) -> list[Told]:
    step = stage.step()
    with stage.acting():
        WorkflowStep.objects.filter(pk=step.pk).update(note="Called the agent")
    return [changed(step, note=["", "Called the agent"])]


@path("delete() of a record")
def _(stage: Stage) -> list[Told]:
    holiday = Holiday.objects.earliest("on")
    pk, on = holiday.pk, str(holiday.on)
    with stage.acting():
        holiday.delete()
    return [deleted(holiday, pk, on=on)]


@path("delete() of a queryset")
def _(stage: Stage) -> list[Told]:
    holidays = list(Holiday.objects.all()[:3])
    with stage.acting():
        Holiday.objects.filter(pk__in=[one.pk for one in holidays]).delete()
    return [deleted(one, one.pk, on=str(one.on)) for one in holidays]


@path("a cascade of delete()")
def _(stage: Stage) -> list[Told]:
    group = Group.objects.create(name="Auditors of tests")
    permission = Group.objects.filter(permissions__isnull=False).first().permissions.first()
    group.permissions.add(permission)
    pk = group.pk
    with stage.acting():
        group.delete()
    return [
        deleted(group, pk, name="Auditors of tests"),
        Told("auth.group", str(pk), "changed", {"permissions": [permission.pk, None]}),
    ]


# Links between records -----------------------------------------------------------------------------------------------
@path("m2m add()")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        stage.cast.cc_clerk.divisions.add(stage.cast.tyres)
    return [changed(stage.cast.cc_clerk, divisions=[None, stage.cast.tyres.pk])]


@path("m2m add() from the other side")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        stage.cast.tyres.user_set.add(stage.cast.cc_clerk)
    return [changed(stage.cast.cc_clerk, divisions=[None, stage.cast.tyres.pk])]


@path("m2m remove()")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        stage.cast.stranger.divisions.remove(stage.cast.vehicles)
    return [changed(stage.cast.stranger, divisions=[stage.cast.vehicles.pk, None])]


@path("m2m set()")
def _(stage: Stage) -> list[Told]:
    cast = stage.cast
    with stage.acting():
        cast.stranger.divisions.set([cast.tyres])
    return [
        changed(cast.stranger, divisions=[cast.vehicles.pk, None]),
        changed(cast.stranger, divisions=[None, cast.tyres.pk]),
    ]


@path("m2m clear()")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        stage.cast.stranger.divisions.clear()
    return [changed(stage.cast.stranger, divisions=[stage.cast.vehicles.pk, None])]


@path("bulk_create() of links")
def _(stage: Stage) -> list[Told]:
    cast = stage.cast
    with stage.acting():
        through = User.divisions.through
        through.objects.bulk_create([through(user_id=cast.cc_clerk.pk, division_id=cast.tyres.pk)])
    return [changed(cast.cc_clerk, divisions=[None, cast.tyres.pk])]


@path("update() of links, to another record")
def _(stage: Stage) -> list[Told]:
    cast = stage.cast
    with stage.acting():
        User.divisions.through.objects.filter(user=cast.stranger).update(user=cast.cc_clerk)
    return [
        changed(cast.stranger, divisions=[cast.vehicles.pk, None]),
        changed(cast.cc_clerk, divisions=[None, cast.vehicles.pk]),
    ]


# SQL -----------------------------------------------------------------------------------------------------------------
@path("SQL INSERT")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        run("INSERT INTO accounts_division (code, name) VALUES ('N1', 'New 1'), ('N2', 'New 2')")
    return [created(Division.objects.get(code=f"N{n}"), name=f"New {n}") for n in (1, 2)]


@path("SQL INSERT, many at once")
def _(stage: Stage) -> list[Told]:
    with stage.acting(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO accounts_division (code, name) VALUES (%s, %s)", [("N1", "New 1"), ("N2", "New 2")]
        )
    return [created(Division.objects.get(code=f"N{n}"), name=f"New {n}") for n in (1, 2)]


@path("SQL INSERT ... ON CONFLICT DO UPDATE")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        run(
            "INSERT INTO accounts_division (code, name) VALUES ('TBL', 'Tyres'), ('N1', 'New')"
            " ON CONFLICT (code) DO UPDATE SET name = excluded.name"
        )
    return [
        changed(stage.cast.tyres, name=["Tyres, batteries and lubricants", "Tyres"]),
        created(Division.objects.get(code="N1"), name="New"),
    ]


@path("SQL UPDATE")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    with stage.acting():
        run("/* by hand */ UPDATE shipments_shipment SET vessel = 'Sea Star' WHERE id = %s", shipment.pk)
    return [changed(shipment, **VESSEL)]


@path("SQL UPDATE of a key")
def _(stage: Stage) -> list[Told]:
    division = Division.objects.create(code="NEW", name="New")
    with stage.acting():
        run("UPDATE accounts_division SET id = id + 100000 WHERE id = %s", division.pk)
    moved = Division.objects.get(code="NEW")
    return [deleted(division, division.pk, name="New"), created(moved, name="New")]


@path("SQL DELETE")
def _(stage: Stage) -> list[Told]:
    holiday = Holiday.objects.earliest("on")
    with stage.acting():
        run("DELETE FROM alerts_holiday WHERE id = %s", holiday.pk)
    return [deleted(holiday, holiday.pk, name=holiday.name)]


@path("SQL MERGE")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        run("""
            MERGE INTO accounts_division d USING (VALUES ('TBL', 'Tyres'), ('N1', 'New')) AS given (code, name)
                ON d.code = given.code
            WHEN MATCHED THEN UPDATE SET name = given.name
            WHEN NOT MATCHED THEN INSERT (code, name) VALUES (given.code, given.name)
        """)
    return [
        changed(stage.cast.tyres, name=["Tyres, batteries and lubricants", "Tyres"]),
        created(Division.objects.get(code="N1"), name="New"),
    ]


@path("SQL COPY")
def _(stage: Stage) -> list[Told]:
    statement = "COPY accounts_division (code, name) FROM STDIN"
    with stage.acting(), connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write_row(("N1", "New 1"))
        copy.write_row(("N2", "New 2"))
    return [created(Division.objects.get(code=f"N{n}"), name=f"New {n}") for n in (1, 2)]


@path("SQL WITH that writes")
def _(stage: Stage) -> list[Told]:
    shipment = stage.shipment()
    with stage.acting():
        run(
            """
            WITH moved AS (UPDATE shipments_shipment SET vessel = 'Sea Star' WHERE id = %s RETURNING id)
            UPDATE workflow_workflowstep SET note = 'Sea Star' WHERE step_number = 9.0
                AND shipment_id IN (SELECT id FROM moved)
            """,
            shipment.pk,
        )
    step = WorkflowStep.objects.get(shipment=shipment, step_number=Decimal("9.0"))
    return [changed(shipment, **VESSEL), changed(step, note=["", "Sea Star"])]


@path("SQL DO")
def _(stage: Stage) -> list[Told]:
    with stage.acting():
        run("DO $$ BEGIN UPDATE accounts_division SET name = 'Tyres' WHERE code = 'TBL'; END $$")
    return [changed(stage.cast.tyres, name=["Tyres, batteries and lubricants", "Tyres"])]
