"""The help of the commands, as a user reads it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from rpc.cli.broker import Options as BrokerOptions
from rpc.cli.gateway_daemon import Options as GatewayOptions
from rpc.cli.main import main
from rpc.cli.worker import Options as WorkerOptions

COLUMN = 26
"""The column of the meanings of options in the help of twistd."""


@pytest.mark.parametrize("words", [(), ("dead",), ("queue",)])
def test_the_list_of_verbs_has_whole_sentences(words: tuple[str, ...]) -> None:
    """click ends the first sentence of a docstring with three dots when it is too long for a line."""
    _, _, verbs = CliRunner().invoke(main, [*words, "--help"]).output.partition("\nCommands:\n")
    assert verbs
    assert "..." not in verbs


@pytest.mark.parametrize("options", [BrokerOptions, GatewayOptions, WorkerOptions])
def test_twistd_shows_no_gaps(options: type[BrokerOptions | GatewayOptions | WorkerOptions]) -> None:
    """It keeps the indentation of a docstring, in the middle of a line."""
    for line in str(options()).splitlines():
        assert "  " not in line[COLUMN:].strip(), line
