"""Sealing the trail: what it costs eight writers, and how long 100,000 entries take to seal and to verify."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg

from benchmarks import scratch
from benchmarks.measure import Check, Figures, Report, finish, in_turns, part, sized

ENTRIES = sized(100_000)
SECONDS = sized(10)
START = 3  # seconds until the sealer's process is at work
LONGEST_MS = 20


def measure() -> Report:
    with scratch.database() as connection:
        scratch.fill(connection, ENTRIES, with_steps=False)
        part("sealing", "seal")
        found = in_turns(
            3,
            {
                "writers": partial(_writers, LONGEST_MS),
                "writers and sealer": partial(_with_sealer, LONGEST_MS),
                "writers flat out": partial(_writers, 0),
                "writers flat out and sealer": partial(_with_sealer, 0),
                f"{ENTRIES:,} entries": partial(_entries, connection),
            },
        )
    alone, beside = found["writers"]["per_second"], found["writers and sealer"]["per_second"]
    alone_fast, beside_fast = (
        found[name]["per_second"] for name in ("writers flat out", "writers flat out and sealer")
    )
    sealed = found[f"{ENTRIES:,} entries"]
    return Report(
        "sealing",
        f"Sealing beside 8 writers; {ENTRIES:,} entries",
        {
            f"transactions of 2–{LONGEST_MS} ms, per second": alone,
            "the same with a sealer every second": beside,
            "transactions as fast as they go, per second": alone_fast,
            "the same with a sealer every second ": beside_fast,
            f"seal {ENTRIES:,} entries, s": sealed["seal_seconds"],
            f"verify {ENTRIES:,} entries, s": sealed["verify_seconds"],
            "sealing, peak memory, MB": sealed["seal_mb"],
            "verifying, peak memory, MB": sealed["verify_mb"],
        },
        [
            Check(f"throughput without ÷ with sealer, 2–{LONGEST_MS} ms", alone / beside, 1.1),
            Check("throughput without ÷ with sealer, flat out", alone_fast / beside_fast, 1.1),
        ],
    )


def _writers(longest_ms: int) -> Figures:
    found = part("sealing", "write", SECONDS, longest_ms)
    part("sealing", "seal")
    return found


def _with_sealer(longest_ms: int) -> Figures:
    with ThreadPoolExecutor(1) as beside:
        sealer = beside.submit(part, "sealing", "seal_every_second", START + SECONDS + 1)
        time.sleep(START)
        found = part("sealing", "write", SECONDS, longest_ms)
        if not sealer.result()["entries"]:
            raise RuntimeError("The sealer sealed nothing: the figures mean nothing.")
    part("sealing", "seal")
    return found


def _entries(connection: psycopg.Connection) -> Figures:
    """One entry for each shipment, sealed and verified; what was sealed before is verified with them."""
    connection.execute("UPDATE shipments_shipment SET vessel = 'Vessel ' || version || random()")
    sealed, verified = part("sealing", "seal"), part("sealing", "verify")
    if sealed["entries"] != ENTRIES or verified["findings"]:
        raise RuntimeError("Not everything was sealed, or it does not verify: the figures mean nothing.")
    return {
        "seal_seconds": sealed["seconds"],
        "verify_seconds": verified["seconds"] * ENTRIES / verified["entries"],
        "seal_mb": sealed["peak_mb"],
        "verify_mb": verified["peak_mb"],
    }


if __name__ == "__main__":
    finish(measure())
