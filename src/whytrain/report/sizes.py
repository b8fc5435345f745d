"""What the presets of a study differ in: settings, runs, and values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from whytrain.lab import Request, Study


def sizes(study: Study) -> list[dict[str, Any]]:
    """Compare what the presets ask for at first, experiment by experiment.

    Args:
        study: The study.

    Returns:
        For each experiment that claims or figures ask for, its `experiment` and `doc`; `presets`,
        a list of `preset`, `settings` and `runs`; and `values`, a list of the settings that take
        other values: `name`, and the values under each preset.
    """
    asked = {preset: _asked(study, preset) for preset in study.presets}
    rows = []
    for experiment in study.experiments:
        of = {
            preset: [one for one in requests if one.experiment == experiment.name]
            for preset, requests in asked.items()
        }
        if any(of.values()):
            rows.append(
                {
                    "experiment": experiment.name,
                    "doc": experiment.doc,
                    "presets": [
                        {"preset": preset, "settings": len(some), "runs": sum(r.runs for r in some)}
                        for preset, some in of.items()
                    ],
                    "values": _values(experiment.settings, list(of.values())),
                }
            )
    return rows


def _asked(study: Study, preset: str) -> list[Request]:
    parts = (*study.claims, *study.figures)
    return list(dict.fromkeys(request for part in parts for request in part.requests(preset)))


def _values(kind: type, presets: Sequence[Sequence[Request]]) -> list[dict[str, Any]]:
    """The settings that take other values under one preset than under another."""
    found = []
    for field in dataclasses.fields(kind):
        if field.default is None:  # what follows from other settings says nothing new
            continue
        values = [_taken(requests, field.name) for requests in presets]
        if any(some != values[0] for some in values):
            found.append({"name": field.name, "values": [_shown(some) for some in values]})
    return found


def _taken(requests: Sequence[Request], name: str) -> list[Any]:
    return list(dict.fromkeys(getattr(request.settings, name) for request in requests))


def _shown(values: Sequence[Any]) -> str:
    words = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
    words = sorted(dict.fromkeys(words), key=lambda word: (len(word), word))
    if len(words) > 8:
        return f"{len(words)} values"
    return ", ".join(words)
