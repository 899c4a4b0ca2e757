"""The verdict of a run that ends before it trains."""

from datetime import datetime
from typing import Any

from finest.data.schema import Manifest
from finest.gate.notes import of_data
from finest.gate.verdict import Verdict


def skipped(reason: str, manifest: Manifest, as_of: datetime, ids: dict[str, Any]) -> Verdict:
    """`skipped`, with the reason and what is known of the data. Nothing was judged."""
    return Verdict(
        verdict="skipped",
        reason=reason,
        protocol="none",
        given="",
        reference="none",
        notes=list(of_data(manifest)),
        data={
            "fingerprint": manifest.fingerprint,
            "instances": manifest.instances,
            "users": manifest.users,
            "catalogue": manifest.items,
        },
        age={"as_of": as_of.isoformat()},
        ids=ids,
    )
