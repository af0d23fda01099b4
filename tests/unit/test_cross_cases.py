"""The cases of the cross-language test, and their IDL. ``tests/integration/test_cross.py`` plays them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rpc.envelope import CODECS
from rpc.stub import Stub
from tests.cross_test.cases import CASES
from tests.cross_test.programs import FOLDER, stubs
from tests.cross_test.values import NOT_RUN


@pytest.mark.slow
def test_every_method_is_called() -> None:
    """And run. An inherited method is called at its own service."""
    run = {(case.service, case.method) for case in CASES if case.expected_arguments is not NOT_RUN}
    known = {(service, method) for service, stub in stubs().items() for method in Stub.of(stub).methods}
    run |= {("LaterHarbour", method) for service, method in run if service == "Harbour"}
    run |= {("LaterHarbour", method) for service, method in known if (service, method) == ("LaterHarbour", "whistle")}
    assert known - run == set()


@pytest.mark.parametrize("protocol", CODECS)
def test_each_protocol_has_enough_cases(protocol: str) -> None:
    """As many as the official test has, of those that Thrift's own Python can play."""
    names = {case.name for case in CASES if case.has_thrifts_bytes(protocol) and protocol in case.protocols}
    assert len(names) > 120
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("language", ["js:node", "java", "go", "cpp", "rs", "py"])
def test_the_idl_compiles_for_other_languages(language: str, tmp_path: Path) -> None:
    """No name is a reserved word there."""
    subprocess.run(
        ["thrift", "--gen", language, "-out", tmp_path, FOLDER / "harbour.thrift"], check=True, capture_output=True
    )
    assert any(tmp_path.iterdir())
