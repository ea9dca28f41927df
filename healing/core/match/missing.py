"""A required value that is missing: from a claim of the caller, from another key, from the column's default. Never invented."""

from __future__ import annotations

from collections.abc import Mapping

from healing.core.types import Json, Kind, Misfit
from schema_monitor.core.snapshot import Column, Relation

from .names import name_of
from .option import Option
from .scene import Scene
from .traps import traps
from .values import family, fit, shape

_CALLER = {
    "user_id": 0.85,
    "created_by": 0.8,
    "owner_id": 0.75,
    "author_id": 0.75,
    "profile_id": 0.6,
    "created_by_id": 0.75,
    "uploaded_by": 0.7,
    "submitted_by": 0.7,
    "requested_by": 0.7,
    "sender_id": 0.55,
    "account_id": 0.3,
    "actor_id": 0.7,
    "added_by": 0.7,
    "updated_by": 0.6,
    "owner_user_id": 0.75,
    "auth_user_id": 0.85,
    "invited_by": 0.65,
    "recorded_by": 0.65,
    "performed_by": 0.65,
    "reported_by": 0.65,
    "author": 0.5,
    "owner": 0.5,
    "uid": 0.8,
    "creator_id": 0.75,
}
_CLAIMS = {
    "email": ("email", 0.35),
    "user_email": ("email", 0.7),
    "tenant_id": ("tenant_id", 0.9),
    "org_id": ("org_id", 0.9),
    "organization_id": ("organization_id", 0.9),
}


def required(scene: Scene) -> list[Column]:
    """Columns that an insert must have and this payload lacks."""
    return [t.column for t in scene.targets if t.required]


def options(misfit: Misfit, relation: Relation, scene: Scene, claims: Mapping[str, Json]) -> list[Option]:
    """Ways to supply the value, best first."""
    column = relation.column(misfit.column)
    if column is None:
        return []
    found = [*_from_claim(column, misfit, claims), *_from_default(column, misfit), *_from_keys(column, misfit, relation, scene)]
    return sorted(found, key=lambda o: -o.probability)[:3]


def _from_claim(column: Column, misfit: Misfit, claims: Mapping[str, Json]) -> list[Option]:
    claim, chance = ("sub", _CALLER[column.name]) if column.name in _CALLER else _CLAIMS.get(column.name, ("", 0.0))
    value = claims.get(claim)
    if value is None or column.array or fit(shape(value), family(column.base, False, False)) < 0.5:
        return []
    return [
        Option(
            misfit.signature,
            {"op": "fill", "column": column.name, "claim": claim},
            chance,
            f"take `{column.name}` from the caller's `{claim}` claim",
            takes=column.name,
            for_=(f"{column.name} usually says who calls", "the claim is verified"),
        )
    ]


def _from_default(column: Column, misfit: Misfit) -> list[Option]:
    if column.default is None:
        return []
    return [
        Option(
            misfit.signature,
            {"op": "use_default", "column": column.name},
            0.6,
            f"leave `{column.name}` out, so that its default applies",
            takes=column.name,
            for_=("the column has a default", "an explicit null asks for nothing else"),
        )
    ]


def _from_keys(column: Column, misfit: Misfit, relation: Relation, scene: Scene) -> list[Option]:
    """A copy of a column that the payload already has, where names and types agree well. Unknown keys come by rename instead."""
    wanted, kind = name_of(column.name), family(column.base, column.array, column.enum is not None)
    layout, found = scene.layout, []
    for key, value in scene.row.items():
        if key == column.name or value is None or relation.column(key) is None or fit(shape(value), kind) < 0.7:
            continue
        base = layout.base(layout.places[key], layout.places[column.name])
        if base >= 0.5 and not traps(name_of(key), wanted):
            found.append(
                Option(
                    misfit.signature,
                    {"op": "fill", "column": column.name, "from_key": key},
                    0.35 * base,
                    f"copy `{key}` into `{column.name}`",
                    takes=column.name,
                    for_=(f"{key} has a value that fits {column.type}",),
                    against=("the two columns would hold the same value",),
                )
            )
    return found


def implied(column: Column) -> Misfit:
    """The misfit that the database would report next."""
    return Misfit(Kind.MISSING_VALUE, column.name, None, column.type)
