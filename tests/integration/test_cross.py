"""The cases of Apache Thrift's cross-language test, on a broker, in each protocol.

All cases of a protocol are played at once, by one worker. Then each one is a test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rpc.envelope import CODECS
from tests.cross_test import running
from tests.cross_test.cases import CASES
from tests.cross_test.playing import Call, Played
from tests.cross_test.programs import stubs
from tests.cross_test.values import Case
from tests.unit.generated_ends import exactly
from tools.nodes.broker_node import BrokerNode

JSON_TEXTS = {
    "real_infinite": '{"1":{"dbl":"Infinity"}}',
    "real_minus_infinite": '{"1":{"dbl":"-Infinity"}}',
    "real_not_a_number": '{"1":{"dbl":"NaN"}}',
    "text_control_signs": r'{"1":{"str":"a\tb\r\nc\b\f\u0001\u001f' + '\x7f"}}',
    "text_null_sign": r'{"1":{"str":"before\u0000after"}}',
}
"""Requests by the names of their cases."""


@pytest.fixture
def played(broker: BrokerNode, protocol: str, case: Case) -> Played:
    """Return a case as it was played; skip those that this machine cannot play."""
    if case.service not in stubs():
        pytest.skip("no Thrift compiler of this machine knows uuid: see scripts/thrift-compilers")
    found, problem = running.run(broker.url, protocol)
    assert problem == ""
    return found[case.name]


def comparable(call: Call) -> Any:
    """Return a call in a form that can be compared exactly."""
    return None if call.seen is None else [exactly(argument) for argument in call.seen], exactly(call.outcome)


def in_each_protocol(chosen: Callable[[Case, str], bool]) -> pytest.MarkDecorator:
    """Have a test run for some cases in some protocols."""
    pairs = [(protocol, case) for protocol in CODECS for case in CASES if chosen(case, protocol)]
    ids = [f"{protocol}-{case.name}" for protocol, case in pairs]
    return pytest.mark.parametrize(("protocol", "case"), pairs, ids=ids)


@in_each_protocol(lambda case, protocol: protocol in case.protocols)
def test_handler_sees_the_arguments_and_caller_the_answer(played: Played) -> None:
    """Of our client, with all their types."""
    assert comparable(played.ours) == comparable(played.expected)


@in_each_protocol(lambda case, protocol: protocol in case.protocols and case.has_thrifts_bytes(protocol))
def test_the_bytes_are_those_of_thrift(played: Played) -> None:
    """Our client's request, and our worker's reply to the client that Thrift generates, which is served as ours is."""
    assert played.thrifts is not None
    assert comparable(played.thrifts) == comparable(played.expected)
    assert played.request == played.thrifts_request
    assert played.reply == played.thrifts_reply


@in_each_protocol(lambda case, protocol: protocol == "json" and case.name in JSON_TEXTS)
def test_json_is_right_where_that_of_thrift_for_python_is_not(played: Played) -> None:
    """The text is that of RFC 8259, with the doubles of Thrift's C++ library."""
    assert played.request is not None
    assert JSON_TEXTS[played.case.name] in played.request.decode()
