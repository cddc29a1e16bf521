"""Filters of the lists of people and of service accounts."""

from __future__ import annotations

import django_filters as filters
from django.db.models import QuerySet

from accounts.choices import Department, Role
from accounts.models import Division, User
from clearance.api.filters import AnyOfFilter, GivenFilters, IdFilter, TextFilter, TrueOrFalseFilter


class ServiceAccountFilters(GivenFilters):
    is_active = TrueOrFalseFilter()
    search = TextFilter(field_name="full_name", lookup_expr="icontains", label="Part of the name")

    class Meta:
        model = User
        fields = ()


class UserFilters(GivenFilters):
    department = AnyOfFilter(choices=Department.choices)
    role = AnyOfFilter(choices=Role.choices)
    further_roles = IdFilter(field_name="groups", label="The id of a role beside that of the department")
    divisions = filters.ModelChoiceFilter(
        field_name="divisions", queryset=Division.objects.all(), to_field_name="code", label="Limited to this division"
    )
    is_active = TrueOrFalseFilter()
    waiting = TrueOrFalseFilter(method="that_wait", label="Active, without any right: waits for an administrator")
    search = TextFilter(method="matching", label="Words of name and e-mail address")

    former = {"further_role": "further_roles", "division": "divisions"}

    class Meta:
        model = User
        fields = ()

    def that_wait(self, people: QuerySet[User], name: str, value: bool) -> QuerySet[User]:
        return people.waiting() if value else people.not_waiting()  # type: ignore[attr-defined,no-any-return]

    def matching(self, people: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        return people.matching(value)  # type: ignore[attr-defined,no-any-return]
