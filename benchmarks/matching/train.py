"""Trains ``healing/core/match/model.json`` from the drift data, in a minute or two, without a network:

    python -m benchmarks.matching.train

Steps: questions -> features -> trees, cross-validated by project -> calibration on what no tree has seen -> trees on everything ->
a JSON file that a person can read. Needs numpy and scikit-learn (development only).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

MODEL = Path(__file__).resolve().parents[2] / "healing" / "core" / "match" / "model.json"


def _bootstrap() -> None:
    """An empty model lets the package import when the feature list has changed."""
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    source = (MODEL.parent / "features.py").read_text(), (MODEL.parent / "likeness.py").read_text()
    names: dict[str, Any] = {}
    like = source[1].split("LIKENESS = (", 1)[1].split(")", 1)[0]
    full = source[0].split("FEATURES = (", 1)[1].split(")", 1)[0].replace("*LIKENESS,", like)
    exec(f"FEATURES = ({full})", names)  # noqa: S102  our own source
    if MODEL.exists() and tuple(json.loads(MODEL.read_text())["features"]) == names["FEATURES"]:
        return
    MODEL.write_text(
        json.dumps(
            {
                "version": 1,
                "features": list(names["FEATURES"]),
                "bias": 0.0,
                "trees": [],
                "curve": {"x": [0, 1], "y": [0, 1]},
                "label": {"bias": 0.0, "weights": {}},
                "rescue": 0.1,
                "drop": 0.05,
            }
        )
    )


_bootstrap()

from benchmarks.matching import fitting  # noqa: E402  imports the package, which loads the model

if __name__ == "__main__":
    fitting.main(MODEL)
