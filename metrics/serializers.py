"""Shapes of metrics at the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from accounts.choices import DEPARTMENTS, Department
from clearance.api.desk import StrictSerializer

ADDRESS = "https://clearance.example.com"
MONEY = {"max_digits": 18, "decimal_places": 3}


def _days(help_text: str) -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, help_text=f"{help_text}; one decimal, null without any.")


def _count(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(help_text=help_text)


# Input ---------------------------------------------------------------------------------------------------------------
class RangeInput(StrictSerializer):
    to = serializers.DateField(
        required=False, source="until", help_text="The last day of the range. Default: today in Muscat."
    )
    department = serializers.ChoiceField(
        DEPARTMENTS,
        required=False,
        help_text="Only this department. Finance, C&C and Stores may name no other than their own.",
    )

    def get_fields(self) -> dict[str, Any]:
        first = serializers.DateField(
            required=False,
            source="from_",
            help_text="The first day of the range, which has 366 days at most. Default: 89 days before `to`.",
        )
        return {"from": first, **super().get_fields()}


class StepRangeInput(RangeInput):
    page = serializers.IntegerField(
        required=False, default=1, min_value=1, max_value=1_000_000, help_text="Page of `results`, from 1."
    )
    page_size = serializers.IntegerField(
        required=False, default=50, min_value=1, max_value=200, help_text="Rows per page, at most 200."
    )


# Answers -------------------------------------------------------------------------------------------------------------
class InputsSerializer(serializers.Serializer):
    to = serializers.DateField()
    department = serializers.ChoiceField(DEPARTMENTS, allow_null=True, help_text="Null: every one.")
    as_of = serializers.DateField(help_text="Today in Muscat: what is open is reckoned until then.")

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateField(), **super().get_fields()}


class LinksSerializer(serializers.Serializer):
    shipments = serializers.URLField(help_text="The shipments that the figure is about.")
    export = serializers.URLField(help_text="The figure with its rows as a workbook, for people in the back office.")


class FigureSerializer(serializers.Serializer):
    definition = serializers.CharField(help_text="How the figure is reckoned, in the language of the request.")
    inputs = InputsSerializer()
    links = LinksSerializer()


class SpanSerializer(serializers.Serializer):
    shipments = _count("How many shipments it is reckoned from.")
    average_days = _days("Days after the ETA, negative before it")
    median_days = _days("The median")
    p90_days = _days("The 90th percentile")


class DepartmentSpanSerializer(SpanSerializer):
    department = serializers.ChoiceField(DEPARTMENTS)


INPUTS = {"from": "2026-01-01", "to": "2026-03-31", "department": None, "as_of": "2026-04-15"}
LINKS = {
    "shipments": f"{ADDRESS}/api/v1/shipments?eta_from=2025-12-25&eta_to=2026-03-24&status=active&status=completed",
    "export": f"{ADDRESS}/admin/metrics/export/on-time-rate.xlsx?from=2026-01-01&to=2026-03-31",
}


def _example(definition: str, export: str, **figure: Any) -> OpenApiExample:
    links = LINKS | {"export": LINKS["export"].replace("on-time-rate", export)}
    answer = {"definition": definition, "inputs": INPUTS, "links": links, **figure}
    return OpenApiExample("A quarter", answer, response_only=True)


def _span(shipments: int, average: float, median: float, p90: float) -> dict[str, Any]:
    return {"shipments": shipments, "average_days": average, "median_days": median, "p90_days": p90}


@extend_schema_serializer(
    examples=[
        _example(
            "Shipments cleared in the range (their last critical step completed), …",
            "clearance-time",
            links={
                "shipments": (
                    f"{ADDRESS}/api/v1/shipments"
                    "?cleared_on_from=2026-01-01&cleared_on_to=2026-03-31&status=active&status=completed"
                ),
                "export": LINKS["export"].replace("on-time-rate", "clearance-time"),
            },
            end_to_end=_span(182, 6.8, 7.0, 9.0),
            departments=[
                {"department": Department.FINANCE, **_span(182, 5.9, 6.0, 8.0)},
                {"department": Department.CUSTOMS, **_span(182, 6.8, 7.0, 9.0)},
            ],
        )
    ]
)
class ClearanceTimeSerializer(FigureSerializer):
    end_to_end = SpanSerializer(help_text="From the ETA until the shipment was cleared.")
    departments = DepartmentSpanSerializer(
        many=True, help_text="From the ETA until the last completed step of each department whose figures you see."
    )


@extend_schema_serializer(
    examples=[
        _example(
            "Shipments whose last free day (ETA plus 7) lies in the range and is over, …",
            "on-time-rate",
            judged=190,
            on_time=152,
            late=38,
            still_open=3,
            not_judged=0,
            on_time_percent=80.0,
        )
    ]
)
class OnTimeRateSerializer(FigureSerializer):
    judged = _count("Shipments whose last free day lies in the range and is over.")
    on_time = _count("Of these, with all critical steps completed by then.")
    late = _count("The others.")
    still_open = _count("Of the late ones, not completed yet.")
    not_judged = _count("Shipments without a critical step, which are left out.")
    on_time_percent = _days("On time, in percent of the judged")


class DemurrageInputsSerializer(InputsSerializer):
    daily_rate_omr = serializers.DecimalField(**MONEY, help_text="Per container and day.")
    free_time_days = _count("Days after the ETA that cost nothing.")
    counterfactual_days = _days("By how many days a shipment that was on time would have been late otherwise")
    counterfactual_is = serializers.ChoiceField(
        ["set", "computed", "unknown"],
        help_text="Set by the operator, or computed as the mean delay of the late ones; unknown without any.",
    )


class OnTimeSerializer(serializers.Serializer):
    shipments = _count("How many.")
    containers = _count("Their containers.")
    containers_unknown = _count("Of them, without a container count: left out of the amount.")


class LateSerializer(OnTimeSerializer):
    still_open = _count("Of them, not cleared yet: reckoned until today.")
    delay_days = _count("Days after day 7, summed up.")
    container_days = _count("Days after day 7 times containers, summed up.")


@extend_schema_serializer(
    examples=[
        _example(
            "Shipments whose last free day (ETA plus 7) lies in the range and is over, …",
            "demurrage-savings",
            inputs={
                **INPUTS,
                "daily_rate_omr": "38.462",
                "free_time_days": 7,
                "counterfactual_days": 3.4,
                "counterfactual_is": "computed",
            },
            incurred_omr="9269.342",
            savings_omr="47077.488",
            late={
                "shipments": 38,
                "still_open": 3,
                "containers": 74,
                "containers_unknown": 1,
                "delay_days": 128,
                "container_days": 241,
            },
            on_time={"shipments": 152, "containers": 360, "containers_unknown": 4},
        )
    ]
)
class DemurrageSavingsSerializer(FigureSerializer):
    inputs = DemurrageInputsSerializer()
    incurred_omr = serializers.DecimalField(**MONEY, help_text="What the late ones cost, or have cost until today.")
    savings_omr = serializers.DecimalField(
        **MONEY, allow_null=True, help_text="What the others would have cost. Null without a counterfactual delay."
    )
    late = LateSerializer()
    on_time = OnTimeSerializer()


class DelaySerializer(serializers.Serializer):
    department = serializers.ChoiceField(DEPARTMENTS)
    mandatory = _count("Mandatory steps of the shipments.")
    delayed = _count("Of these, late.")
    completed_late = _count("Of the late ones, completed by now.")
    overdue = _count("Of the late ones, still open.")
    delay_days = _count("Days after the target dates, summed up.")
    waiting_days = _count("Of these, before the last predecessor was completed.")
    working_days = _count("The rest.")
    average_delay_days = _days("Days per late step")


class StepDelaySerializer(DelaySerializer):
    step_number = serializers.DecimalField(max_digits=4, decimal_places=1)
    step_name = serializers.CharField()


class DelayedStepSerializer(serializers.Serializer):
    id = serializers.IntegerField(help_text="Of the step.")
    shipment = serializers.IntegerField()
    shipment_number = serializers.CharField()
    step_number = serializers.DecimalField(max_digits=4, decimal_places=1)
    step_name = serializers.CharField()
    department = serializers.ChoiceField(DEPARTMENTS)
    target_date = serializers.DateField()
    actual_date = serializers.DateField(allow_null=True, help_text="Null: still open.")
    delay_days = serializers.IntegerField()
    waiting_days = serializers.IntegerField()
    working_days = serializers.IntegerField()


_DELAY = {
    "mandatory": 1710,
    "delayed": 96,
    "completed_late": 91,
    "overdue": 5,
    "delay_days": 240,
    "waiting_days": 155,
    "working_days": 85,
    "average_delay_days": 2.5,
}


@extend_schema_serializer(
    examples=[
        _example(
            "Mandatory steps of the shipments whose last free day (ETA plus 7) lies in the range and is over, …",
            "delayed-steps",
            departments=[{"department": Department.CUSTOMS, **_DELAY}],
            steps=[
                {"step_number": "11.0", "step_name": "Bayan approved", "department": Department.CUSTOMS, **_DELAY},
            ],
            results=[
                {
                    "id": 483,
                    "shipment": 14,
                    "shipment_number": "SH-2026-014",
                    "step_number": "11.0",
                    "step_name": "Bayan approved",
                    "department": Department.CUSTOMS,
                    "target_date": "2026-03-24",
                    "actual_date": "2026-03-29",
                    "delay_days": 5,
                    "waiting_days": 3,
                    "working_days": 2,
                }
            ],
            next=f"{ADDRESS}/api/v1/metrics/delayed-steps?from=2026-01-01&to=2026-03-31&page=2",
            previous=None,
            count=96,
        )
    ]
)
class DelayedStepsSerializer(FigureSerializer):
    departments = DelaySerializer(many=True, help_text="Each department whose figures you see.")
    steps = StepDelaySerializer(many=True, help_text="Each step of the procedure, the most delay first.")
    results = DelayedStepSerializer(many=True, help_text="The delayed steps, the longest delay first.")
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = _count("How many delayed steps there are; exact.")
