"""The faults of Thrift for Node.js that ``docs/wire.md`` and ``examples/node/README.md`` tell of are there."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TMemoryBuffer

from tests.cross_test import node_peer
from tests.cross_test.programs import FOLDER, stubs


@pytest.fixture(scope="module")
def facts() -> Mapping[str, Any]:
    """Return the output of the program."""
    if node_peer.missing():
        pytest.skip(f"no peer in Node.js: {node_peer.missing()}")
    command = ["node", str(FOLDER / "node" / "generated_code.js"), node_peer.stubs_folder()]
    environment = {**os.environ, "NODE_PATH": str(node_peer.EXAMPLE / "node_modules")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60.0, check=False)
    assert done.returncode == 0, done.stderr
    printed: Mapping[str, Any] = json.loads(done.stdout)
    return printed


def header(encoded: str) -> tuple[str, int, int]:
    """Return name, type and seqid of a binary message."""
    found: tuple[str, int, int] = TBinaryProtocol(TMemoryBuffer(base64.b64decode(encoded))).readMessageBegin()
    return found


def error(encoded: str) -> tuple[int, str | None]:
    """Return type and text of an EXCEPTION."""
    protocol = TBinaryProtocol(TMemoryBuffer(base64.b64decode(encoded)))
    assert protocol.readMessageBegin()[1] == TMessageType.EXCEPTION
    found = TApplicationException()
    found.read(protocol)
    return found.type, found.message


def argument(encoded: str, method: str) -> Any:
    """Return the argument of a binary request."""
    return read(encoded, f"{method}_args").it


def result(encoded: str, method: str) -> Any:
    """Return the result in a binary reply."""
    return read(encoded, f"{method}_result").success


def read(encoded: str, name: str) -> Any:
    """Return the struct of a binary message."""
    protocol = TBinaryProtocol(TMemoryBuffer(base64.b64decode(encoded)))
    protocol.readMessageBegin()
    found = getattr(stubs()["Harbour"], name)()
    found.read(protocol)
    return found


def test_seqids_count_from_1_for_each_client(facts: Mapping[str, Any]) -> None:
    """So two clients use the same."""
    assert [header(request)[2] for request in [*facts["seqids"], facts["seqid_of_another"]]] == [1, 2, 1]


def test_an_exception_is_sent_without_its_type(facts: Mapping[str, Any]) -> None:
    """And an undeclared error with its own text."""
    assert error(facts["undeclared"]) == (TApplicationException.UNKNOWN, "a secret")
    assert error(facts["application_error"]) == (TApplicationException.UNKNOWN, "told")
    assert error(facts["unknown_method"]) == (TApplicationException.UNKNOWN, "Unknown function stear")
    assert header(facts["declared"])[1] == TMessageType.REPLY
    assert facts["rejections_before"] == []


def test_some_errors_end_the_process(facts: Mapping[str, Any]) -> None:
    """Node.js ends it for a rejection that is not handled."""
    assert facts["oneway"] == ["of a oneway method"]
    assert len(facts["undeclared_of_the_idl"]) == 1
    assert "without a string/Buffer argument" in facts["undeclared_of_the_idl"][0]


def test_an_unknown_oneway_method_is_answered(facts: Mapping[str, Any]) -> None:
    """With an exception."""
    assert error(facts["unknown_oneway"]) == (TApplicationException.UNKNOWN, "Unknown function signat")


def test_half_of_a_reply_is_sent(facts: Mapping[str, Any]) -> None:
    """Before the exception."""
    body = base64.b64decode(facts["no_encoding"])
    assert header(facts["no_encoding"])[1] == TMessageType.REPLY
    assert body.count(b"\x00\x00\x00\x04text") == 2


def test_a_missing_result_is_a_string(facts: Mapping[str, Any]) -> None:
    """Which the client raises."""
    assert header(facts["no_result"])[1] == TMessageType.REPLY
    assert facts["no_result_raises"] == ["raises", "text failed: unknown result"]


def test_values_are_altered(facts: Mapping[str, Any]) -> None:
    """Bools in compact containers, numbers in JSON, minus zero, keys, numbers that are too large."""
    assert facts["compact_bools"] == [False, False]
    assert '"i64":-0' in facts["json_int64"]
    assert '"dbl":Infinity' in facts["json_infinite"]
    assert struct.pack("!d", argument(facts["minus_zero"], "real")) == bytes(8)
    assert argument(facts["bool_keys"], "lamps") == {True: True}
    assert result(facts["i64_keys"], "levels") == {0x16: 0.5}
    assert facts["large_key"] == "Infinity"
    assert argument(facts["large_i32"], "middle") == -(2**31)
