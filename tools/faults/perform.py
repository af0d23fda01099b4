"""Plays a scenario, and counts the entries and files that are left."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread

from tools.faults.scenario import Finding, Result, Scenario
from tools.faults.trial import IDLE, Trial
from tools.faults.waiting import Late, clock, until
from tools.processes import descriptors


async def _first_uses() -> None:
    """Use the reactor's threads and listening ports once: each keeps a file open from its first use on."""
    await deferToThread(lambda: None)
    await maybeDeferred(clock.listenTCP(0, Factory(), interface="127.0.0.1").stopListening)


async def perform(scenario: Scenario, node: Any, cluster: Any, arguments: dict[str, Any]) -> Result:
    """Play `scenario`. An exception counts as a broken promise, and is told."""
    await _first_uses()
    began, before = clock.seconds(), descriptors(os.getpid())
    trial = Trial(node, cluster)
    left: dict[str, int] = {}
    try:
        finding = await scenario.play(trial, **arguments)
        left = await trial.over()
    except Exception as error:
        finding = Finding(f"failed: {type(error).__name__}: {error}", met=False)
    account = trial.account
    unfired, wrong = account.unfired, account.wrong
    try:
        await trial.close()
    except Exception as error:
        finding = Finding(f"{finding.seen}; closing failed: {type(error).__name__}: {error}", met=False)
    try:
        await until("descriptors are closed", lambda: descriptors(os.getpid()) <= before, IDLE)
    except Late as late:
        finding = Finding(f"{finding.seen}; {late}", met=False)
    met = finding.met and not unfired and not wrong and not left
    return Result(
        name=scenario.name,
        fault=scenario.fault,
        promise=scenario.promise,
        seen=finding.seen,
        met=met,
        unfired=unfired,
        wrong=wrong,
        left=left,
        descriptors=(before, descriptors(os.getpid())),
        seconds=round(clock.seconds() - began, 1),
    )
