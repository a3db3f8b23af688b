"""`python -m benchmarks [NAME …]`: run, print a table with ratios, write results as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.background import background
from benchmarks.bursts import bursts
from benchmarks.counting import tally
from benchmarks.drain import preloaded
from benchmarks.latency import latency, latency_beside_rollout
from benchmarks.lists import lists
from benchmarks.memberships import memberships
from benchmarks.peers.limit import limit
from benchmarks.report import report
from benchmarks.schedules import schedules
from benchmarks.size import size
from benchmarks.state import state
from benchmarks.world import World, preload
from worker.local.guarded import guarded
from worker.local.kafka import KAFKA_VERSION
from worker.local.services import embedded

NAMES = (
    "drain",
    "latency",
    "size",
    "memory",
    "bursts",
    "background",
    "imports",
    "schedules",
    "tally",
    "report",
    "state",
    "memberships",
)
RESULTS = Path(__file__).parent / "results"
SCHEDULED_MAX = 100_000
PEER_SHARE = 50
"""The peer drains so many times fewer commands: it is that much slower."""
console = Console()


async def main(names: list[str], commands: int, rounds: int, seconds: int, memory_commands: int) -> None:
    """Run the named benchmarks in one set of services."""
    results: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": _machine()}
    with tempfile.TemporaryDirectory(prefix="segmentation-bench-") as folder:
        async with embedded(say=_say, long_running=True) as services, guarded() as guard:
            world = World(services, guard, Path(folder))
            _say("preparing users and segments")
            await world.prepare()
            if "drain" in names:
                results["drain"] = await _drain(world, commands, rounds)
            if "latency" in names:
                _say("latency")
                results["latency"] = await latency(world, seconds)
                _say("latency beside a rollout")
                results["latency_beside_rollout"] = await latency_beside_rollout(world, seconds)
            if "size" in names:
                results["size"] = await size(world, commands, rounds, _say)
            others = {
                "background": partial(background, world, _say),
                "imports": partial(lists, world, _say),
                "schedules": partial(schedules, world, min(commands, SCHEDULED_MAX), seconds, _say),
                "tally": partial(tally, world, commands, rounds, _say),
                "bursts": partial(bursts, world, _say),
                "report": partial(report, world, rounds, _say),
                "state": partial(state, world, commands, rounds, _say),
                "memberships": partial(memberships, world, rounds, _say),
            }
            for name in [name for name in others if name in names]:
                results[name] = await others[name]()
            if "memory" in names:
                _say(f"memory over {memory_commands:,} commands")
                results["memory"] = _memory(await preloaded(world, memory_commands, 99))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps(results, indent=2) + "\n")
    _print(results)


async def _drain(world: World, commands: int, rounds: int) -> dict[str, Any]:
    """The worker, the peer and the limit in turn, so that the machine's moods meet all of them."""
    ours, peers, limits = [], [], []
    for number in range(rounds):
        _say(f"round {number + 1} of {rounds}: worker")
        ours.append(await preloaded(world, commands, number))
        _say(f"round {number + 1} of {rounds}: peer")
        peers.append(await _peer(world, max(1_000, commands // PEER_SHARE), number))
        _say(f"round {number + 1} of {rounds}: limit")
        limits.append(await limit(world, commands))
    return {"worker": ours, "peer": peers, "limit": limits}


async def _peer(world: World, commands: int, seed: int) -> dict[str, Any]:
    async with world.deployment() as settings:
        await preload(settings, commands, seed)
        process = await world.process("peer", ["-m", "benchmarks.peers.plain", str(commands)], settings)
        await process.exit
        return dict(json.loads(process.tail().splitlines()[-1]))


def _memory(result: dict[str, Any]) -> dict[str, Any]:
    samples = result["rss_mib"]
    tenth = max(1, len(samples) // 10)
    return {
        "commands": result["commands"],
        "commands_per_second": result["commands_per_second"],
        "peak_mib": max(samples),
        "first_tenth_mib": round(sum(samples[:tenth]) / tenth, 1),
        "last_tenth_mib": round(sum(samples[-tenth:]) / tenth, 1),
    }


def _print(results: dict[str, Any]) -> None:
    table = Table(title=f"{results['machine']}", title_justify="left")
    for column in ("what", "figure", "ratio"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, add in ADDED.items():
        if name in results:
            add(table, results[name])
    console.print(table)


def _add_latency(table: Table, figures: dict[str, Any], beside: str = "") -> None:
    percentiles = f"{figures['p50_ms']} / {figures['p99_ms']} ms"
    table.add_row(f"latency at 200 commands/s{beside}, p50 / p99", percentiles, "")


def _add_size(table: Table, figures: dict[str, Any]) -> None:
    small, large = figures["small"], figures["large"]
    table.add_row("100 k memberships in the table", f"{small:,}/s", "1")
    table.add_row("10 M memberships in the table", f"{large:,}/s", f"{large / small:.2f}")


def _add_bursts(table: Table, bursts: dict[str, Any]) -> None:
    for name, figures in bursts.items():
        table.add_row(f"{name}: memory, peak", f"{figures['peak_mib']} MiB in {figures['seconds']} s", "")


def _add_memory(table: Table, figures: dict[str, Any]) -> None:
    table.add_row(f"memory over {figures['commands']:,} commands, peak", f"{figures['peak_mib']} MiB", "")
    ratio = figures["last_tenth_mib"] / figures["first_tenth_mib"]
    table.add_row("last tenth to first tenth", f"{figures['last_tenth_mib']} MiB", f"{ratio:.2f}")


def _add_drain(table: Table, drain: dict[str, list[dict[str, Any]]]) -> None:
    rates = {name: sorted(run["commands_per_second"] for run in runs) for name, runs in drain.items()}
    worker = _median(rates["worker"])
    for name, label in (("worker", "worker"), ("peer", "plain consumer"), ("limit", "SQL alone, one session")):
        low, high, median = rates[name][0], rates[name][-1], _median(rates[name])
        table.add_row(f"{label}: commands/s", f"{median:,} ({low:,}–{high:,})", f"{worker / median:.2f}")
    cpu = drain["worker"][0]["cpu_us_per_command"]
    table.add_row("CPU µs a command: worker, PostgreSQL, Kafka", " / ".join(str(value) for value in cpu.values()), "")


def _add_state(table: Table, state: dict[str, Any]) -> None:
    """The ratio is to the drain without the topic."""
    rates = {how: _median(sorted(run["commands_per_second"] for run in runs)) for how, runs in state["drain"].items()}
    for how, rate in rates.items():
        table.add_row(f"drain, state {how}: commands/s", f"{rate:,}", f"{rate / rates['off']:.2f}")
        cpu = state["drain"][how][0]["cpu_us_per_command"]
        text = " / ".join(str(value) for value in cpu.values())
        table.add_row("CPU µs a command: worker, PostgreSQL, Kafka", text, "")
    figures = state["snapshot"]
    table.add_row("snapshot: users/s", f"{figures['users_per_second']:,}", "")


def _add_report(table: Table, report: dict[str, list[dict[str, Any]]]) -> None:
    """The ratio is to psql's copy."""
    rates = {name: _median(sorted(run["per_second"] for run in runs)) for name, runs in report.items()}
    for name, label in (
        ("worker", "report, sums and page included"),
        ("psql", "psql's \\copy"),
        ("loop", "cursor and csv"),
    ):
        table.add_row(f"{label}: rows/s", f"{rates[name]:,}", f"{rates[name] / rates['psql']:.2f}")
    peak = max(run["peak_mib"] for run in report["worker"])
    table.add_row(
        "worker's memory over the report, idle and peak", f"{report['worker'][0]['idle_mib']} / {peak} MiB", ""
    )


def _add_memberships(table: Table, found: dict[str, list[dict[str, Any]]]) -> None:
    """The ratio is to a dict that holds all of it."""
    for name in found["store"][0]:
        store = sorted(run[name] for run in found["store"])[len(found["store"]) // 2]
        limits = sorted(run[name] for run in found["dict"] if name in run)
        ratio = f"{store / limits[len(limits) // 2]:.2f}" if limits else ""
        table.add_row(f"memberships of a million users: {name.replace('_', ' ')}", f"{store:,}", ratio)


def _add_background(table: Table, background: dict[str, Any]) -> None:
    """The ratio is to one statement that writes the same rows."""
    loop = background["loop"]["loop"]["per_second"]
    for name, runs in background.items():
        if name in ("loop", "due"):
            continue
        limit = runs["one_statement"]["per_second"]
        for how in ("alone", "with_events"):
            rate = runs[how]["per_second"]
            table.add_row(f"{name}, {how.replace('_', ' ')}", f"{rate:,}/s", f"{rate / limit:.2f}")
        table.add_row(f"{name}, one statement", f"{limit:,}/s", "1")
    due = background["due"]["due"]
    table.add_row("expiry's lateness at 1,000/s, p50 / p99", f"{due['p50_ms']} / {due['p99_ms']} ms", "")
    table.add_row("the usual loop", f"{loop:,}/s", "")


def _add_lists(table: Table, lists: dict[str, Any]) -> None:
    """The ratio is to a rollout with its events."""
    rollout = lists["rollout, with_events"]["per_second"]
    for name, figures in lists.items():
        table.add_row(f"{name}: ids/s", f"{figures['per_second']:,}", f"{figures['per_second'] / rollout:.2f}")
        for part in ("worker_mib", "command_line_mib"):
            if part in figures:
                table.add_row(f"{name}: {part}, quarter / peak", "{quarter} / {peak}".format(**figures[part]), "")


def _add_schedules(table: Table, figures: dict[str, Any]) -> None:
    """The ratio is to a drain of as many ordinary commands."""
    drained = figures["drain_per_second"]
    table.add_row(f"drain of {figures['commands']:,} ordinary commands: commands/s", f"{drained:,}", "1")
    for name in ("put_off", "decided", "published"):
        rate = figures[f"{name}_per_second"]
        table.add_row(
            f"… due at one instant, {name.replace('_', ' ')}: commands/s", f"{rate:,}", f"{rate / drained:.2f}"
        )
    _add_latency(table, figures["latency_beside"], " beside them")


def _add_tally(table: Table, tally: dict[str, Any]) -> None:
    table.add_row("tally of a backlog: rows/s", f"{tally['backlog']['per_second']:,}", "")
    steady = tally["steady"]
    table.add_row(f"tally at {steady['per_second']:,} rows/s: share of a core", f"{steady['core_share']:.1%}", "")
    first = tally["first_count"]
    table.add_row(f"first count of {first['memberships']:,} memberships", f"{first['seconds']} s", "")
    rates = {name: _median(sorted(runs)) for name, runs in tally["drain"].items()}
    for name, rate in rates.items():
        table.add_row(f"drain {name} the tally: commands/s", f"{rate:,}", f"{rate / rates['without']:.2f}")


ADDED: dict[str, Callable[[Table, Any], None]] = {
    "drain": _add_drain,
    "latency": _add_latency,
    "latency_beside_rollout": partial(_add_latency, beside=" beside a rollout"),
    "size": _add_size,
    "background": _add_background,
    "imports": _add_lists,
    "schedules": _add_schedules,
    "tally": _add_tally,
    "bursts": _add_bursts,
    "report": _add_report,
    "state": _add_state,
    "memberships": _add_memberships,
    "memory": _add_memory,
}
"""What each benchmark adds to the table."""


def _median(values: list[int]) -> int:
    return values[len(values) // 2]


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, PostgreSQL 18, Kafka {KAFKA_VERSION}"


def _say(text: str) -> None:
    console.print(f"[dim]{text} …[/]")


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="all but memory if none is given")
    parser.add_argument("--commands", type=int, default=500_000, help="commands in one drain")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--seconds", type=int, default=60, help="of the latency's measurement")
    parser.add_argument("--memory-commands", type=int, default=5_000_000)
    chosen = parser.parse_args()
    asyncio.run(
        main(chosen.names or list(NAMES), chosen.commands, chosen.rounds, chosen.seconds, chosen.memory_commands)
    )
