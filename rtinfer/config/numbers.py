"""Checks on numbers: a float32 of the core, a scalar or one value for each joint."""

from __future__ import annotations

import math

from rtinfer.config.refusal import Place

FLOAT32_MAX = 3.4028234663852886e38

Values = float | tuple[float, ...]


def check_values(
    place: Place,
    key: str,
    values: Values,
    *,
    infinite: bool = False,
    at_least: float = -math.inf,
    above: float | None = None,
) -> None:
    """Refuses a value that is not a number, does not fit float32, or lies outside the bounds."""
    items = values if isinstance(values, tuple) else (values,)
    if not items:
        raise place.refuse(key, values, "a number, or a list with one number for each value")
    wanted = "finite numbers" if isinstance(values, tuple) else "a finite number"
    if at_least > -math.inf:
        wanted += f" of at least {at_least:g}"
    if above is not None:
        wanted += f" above {above:g}"
    for value in items:
        fits = not math.isnan(value) and (
            abs(value) <= FLOAT32_MAX or (infinite and math.isinf(value))
        )
        if not fits or value < at_least or (above is not None and value <= above):
            raise place.refuse(key, values, wanted)


def spread(values: Values, size: int) -> tuple[float, ...]:
    """`size` values: a scalar repeated, a list as it is (its length is checked elsewhere)."""
    return values if isinstance(values, tuple) else (float(values),) * size
