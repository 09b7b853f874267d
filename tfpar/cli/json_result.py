"""Results as strict JSON, which has no NaN and no infinity."""

import json


def print_json(value: object) -> None:
    """Print a finite value as one line."""
    print(json.dumps(value, allow_nan=False), flush=True)
