"""The engine's table of options, as Python sees it. There is no second list of them."""

from __future__ import annotations

import json
from typing import Any

from . import _ffcl


def options() -> dict[str, str]:
    """Every option of a run by its name, and what it does: those of `ffcl-gpu train`, with `_` for `-`."""
    return dict(_ffcl.options())


def as_json(given: dict[str, Any]) -> str:
    """Options for the engine. None means not given."""
    known = options()
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no option; there are {', '.join(known)}")

    def plain(value: Any) -> Any:
        if hasattr(value, "tolist"):
            value = value.tolist()
        return list(value) if isinstance(value, tuple) else value

    named = {name.replace("_", "-"): plain(value) for name, value in given.items() if value is not None}
    try:
        return json.dumps(named)
    except TypeError as error:
        raise ValueError(f"the options cannot be used: {error}") from None
