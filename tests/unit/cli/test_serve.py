"""``thrift-rpc serve``'s options: their places, and the errors of wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from twisted.internet.task import Clock

import rpc
from rpc.cli import serve as serve_module
from rpc.cli.main import main
from rpc.cli.serve import serve_command
from rpc.cli.serve_processes import Settings, prepare
from rpc.errors import ConfigurationError
from services import calculator


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Return the list of settings that a program would run with. None runs."""
    found: list[Settings] = []

    def prepare(_: Any, settings: Settings) -> Any:
        found.append(settings)
        return lambda: None

    monkeypatch.setattr(serve_module, "prepare", prepare)
    monkeypatch.setattr(serve_module, "begin_logging", lambda *_: None)
    monkeypatch.delenv("RPC_BROKER", raising=False)
    monkeypatch.delenv("RPC_BROKER_FILE", raising=False)
    return found


def serve(*words: str, **environment: str) -> Any:
    """Run the command with an environment."""
    return CliRunner().invoke(main, ["serve", *words], env=environment)


def settings_of(prepared: list[Settings], *words: str, **environment: str) -> Settings:
    """Return the settings of a command that is right."""
    prepared.clear()
    result = serve(*words, **environment)
    assert result.exit_code == 0, result.output
    (settings,) = prepared
    return settings


def refusal(*words: str, **environment: str) -> str:
    """Return the last line of a command that is wrong."""
    result = serve(*words, **environment)
    assert result.exit_code == 2, result.output
    assert not isinstance(result.exception, ValueError)
    line: str = result.output.strip().splitlines()[-1]
    return line


def write(folder: Path, text: str | bytes) -> str:
    """Return the path of a file."""
    path = folder / "serve.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_command_line_then_environment_then_file(prepared: list[Settings], tmp_path: Path) -> None:
    """Also for the broker and the services."""
    path = write(
        tmp_path,
        'broker = "amqp://file"\nservices = ["m:file"]\nworkers = 2\n'
        'drain_timeout = 1.5\nreload = true\nready-file = "r"\n',
    )
    settings = settings_of(prepared, "--config", path)
    assert settings.services == ("m:file",)
    assert (settings.workers, settings.drain_timeout, settings.reload, settings.ready_file) == (2, 1.5, True, "r")
    assert settings.broker.hosts == (("file", 5672),)
    environment = {
        "RPC_CONFIG": path,
        "RPC_BROKER": "amqp://environment",
        "RPC_WORKERS": "3",
        "RPC_DRAIN_TIMEOUT": "2",
        "RPC_SERVICES": "m:a m:b",
    }
    settings = settings_of(prepared, **environment)
    assert (settings.services, settings.workers, settings.drain_timeout) == (("m:a", "m:b"), 3, 2.0)
    assert settings.broker.hosts == (("environment", 5672),)
    settings = settings_of(prepared, "--workers", "4", "--broker", "amqp://line", "m:line", **environment)
    assert (settings.services, settings.workers, settings.drain_timeout) == (("m:line",), 4, 2.0)
    assert settings.broker.hosts == (("line", 5672),)


def test_the_defaults_are_a_single_process_without_files_and_ports(prepared: list[Settings]) -> None:
    """Nothing but the services is needed."""
    settings = settings_of(prepared, "m:s")
    assert (settings.workers, settings.reload, settings.pidfile, settings.ready_file) == (None, False, None, None)
    assert (settings.health_port, settings.connect_timeout, settings.slow_call) == (None, None, None)
    assert (settings.access_log, settings.metrics_port, settings.metrics_interface) == (None, None, "127.0.0.1")
    assert (settings.health_interface, settings.log_level, settings.log_format) == ("127.0.0.1", "info", "text")


def test_a_worker_answers_everybody_and_counts_calls_unless_told_otherwise(prepared: list[Settings]) -> None:
    """By the command line or the environment."""

    def worker(*words: str, **environment: str) -> rpc.Worker:
        return settings_of(prepared, *words, "m:s", **environment).worker(Clock(), [calculator.service])

    def control_of(made: rpc.Worker) -> Any:
        return [direct.service.allow for direct in made._server._direct]

    made = worker()
    assert (control_of(made), made.options["stats"]) == ([None], "True")
    made = worker("--no-control", "--no-stats")
    assert (control_of(made), made.options["stats"]) == ([], "False")
    made = worker(RPC_NO_CONTROL="true", RPC_NO_STATS="1")
    assert (control_of(made), made.options["stats"]) == ([], "False")
    assert control_of(worker("--control-allow", "ada, ops-*")) == [["ada", "ops-*"]]
    for words in (("--control-allow", "ada", "--no-control"), ("--control-allow", "")):
        with pytest.raises(ConfigurationError, match="allow"):
            worker(*words)


def test_a_supervisor_refuses_the_users_that_its_workers_would_refuse(prepared: list[Settings]) -> None:
    """Each of them would end with the same error."""
    for words in (("--control-allow", "ada", "--no-control"), ("--control-allow", ",")):
        settings = settings_of(prepared, "--workers", "2", *words, "m:s")
        with pytest.raises(ConfigurationError, match="allow"):
            prepare(Clock(), settings)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--workers", "0"),
        ("--workers", "two"),
        ("--workers", "1.5"),
        ("--drain-timeout", "-1"),
        ("--drain-timeout", "nan"),
        ("--drain-timeout", "inf"),
        ("--connect-timeout", "0"),
        ("--connect-timeout", "soon"),
        ("--slow-call", "-0.1"),
        ("--health-port", "65536"),
        ("--health-port", "http"),
        ("--metrics-port", "65536"),
        ("--metrics-port", "::1:9464"),
        ("--access-log", "xml"),
        ("--log-level", "loud"),
        ("--log-format", "xml"),
        ("--on-refusal", "fail"),
        ("--reactor", "nonsense"),
        ("--broker", "http://host"),
    ],
)
def test_wrong_values_are_named_with_their_place(tmp_path: Path, option: str, value: str) -> None:
    """Of the command line, the environment and the file."""
    assert option in refusal(option, value, "m:s")
    variable = "RPC_" + option[2:].upper().replace("-", "_")
    named = refusal("m:s", **{variable: value})
    assert option in named
    assert variable in named
    path = write(tmp_path, f"{option[2:]} = {value!r}")
    named = refusal("--config", path, "m:s")
    assert f"{path}: {option[2:]}: " in named


def test_a_wrong_number_is_told_what_is_allowed() -> None:
    """In words, not in those of click's types."""
    assert refusal("--workers", "two", "m:s").endswith("'two' is no whole number from 1 to 1024")
    assert refusal("--workers", "0", "m:s").endswith("'0' is no whole number from 1 to 1024")
    assert refusal("--health-port", "1.5", "m:s").endswith("'1.5' is no whole number from 0 to 65535")
    assert refusal("--connect-timeout", "0", "m:s").endswith("'0' is no number of seconds, more than 0")


@pytest.mark.parametrize("option", ["--pidfile", "--ready-file"])
def test_an_empty_path_is_none(prepared: list[Settings], option: str) -> None:
    """As with twistd, whose users write ``--pidfile=``."""
    settings = settings_of(prepared, f"{option}=", "m:s")
    assert (settings.pidfile, settings.ready_file) == (None, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("worker = 2", "there is no option 'worker'; write one of "),
        ("[serve]\nworkers = 2", "there is no option 'serve'; write one of "),
        ('config = "x"', "there is no option 'config'"),
        ("supervised = true", "there is no option 'supervised'"),
        ("drain-timeout = 1\ndrain_timeout = 2", "drain_timeout is given twice"),
        ("workers = true", "workers: "),
        ("workers = 2.5", "workers: "),
        ("workers = [2]", "workers: must be one value"),
        ("reload = 2", "reload: "),
        ('services = "m:s"', "services: must be a list"),
        ("services = [[1]]", "services: must be text, a number, true or false"),
        ("workers = 2020-01-01", "workers: must be text, a number, true or false"),
        ("workers = ", "is no TOML: "),
        (b"\xff", "is no TOML: "),
        ("workers = " + "[" * 20000, "is no TOML: "),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str | bytes, words: str) -> None:
    """The error names the file and the key."""
    path = write(tmp_path, text)
    line = refusal("--config", path, "m:s")
    assert f"{path}: {words}" in line


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """With the reason."""
    assert f"{tmp_path}/nothing: No such file or directory" in refusal("--config", f"{tmp_path}/nothing", "m:s")
    assert f"{tmp_path}: " in refusal("--config", str(tmp_path), "m:s")


def test_no_error_shows_a_password(tmp_path: Path) -> None:
    """Of a broker's URL, wherever it is."""
    url = "amqp://user:pa%zzss@host/"
    for words, environment in (
        (("--broker", url), {}),
        ((), {"RPC_BROKER": url}),
        (("--config", write(tmp_path, f"broker = {url!r}")), {}),
    ):
        result = serve(*words, "m:s", **environment)
        assert result.exit_code == 2
        assert "pa%zzss" not in result.output


def test_names_what_is_missing() -> None:
    """Services; a module; a place for a file; the supervisor of a worker process."""
    assert "Name at least one service" in refusal()
    assert "there is no module 'nowhere'" in refusal("nowhere:service")
    assert "--ready-file=/nowhere/ready: no file can be written here" in refusal(
        "--ready-file", "/nowhere/ready", "services.calculator:service"
    )


def test_a_supervisor_says_it_once() -> None:
    """Its processes would say it as often as there are processes."""
    assert refusal("--workers", "2", "services/calculator:service").endswith(
        "'services/calculator:service': write it as MODULE:SERVICE, such as services.calculator:service"
    )
    assert "spec='1-0': is no definition of AMQP" in refusal(
        "--workers", "2", "--spec", "1-0", "services.calculator:service"
    )


def test_the_help_groups_the_options() -> None:
    """Each option is in one group; those of worker processes are hidden."""
    output = serve("--help").output
    groups = ["\nBroker:\n", "\nProcesses:\n", "\nLog:\n", "\nHealth:\n", "\nMetrics:\n"]
    groups += ["\nControl service:\n", "\nOther options:\n"]
    assert [group for group in groups if group in output] == groups
    for parameter in serve_command.params:
        if isinstance(parameter, click.Option):
            assert output.count(f"  {parameter.opts[0]} ") == (0 if parameter.hidden else 1), parameter.opts


def test_the_option_of_worker_processes_needs_a_supervisor() -> None:
    """There is no pipe to it."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("thrift-rpc")), "serve", "--supervised", "services.calculator:service"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--supervised is for the processes of --workers" in done.stderr


def test_the_default_reactor_needs_no_plugins() -> None:
    """Twisted writes a list of its plugins into its own folder. Without permission, each start would log an error."""
    look = "import sys; import rpc.cli.serve; print('twisted.plugins' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
