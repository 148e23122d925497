"""A plan as an Apptainer definition file."""

from __future__ import annotations

from .plan import Plan


def render_definition(plan: Plan) -> str:
    """Placeholder."""
    raise NotImplementedError(plan)
