"""``thrift-rpc compile``: IDL files to an importable, typed package."""

from __future__ import annotations

from pathlib import Path

import click

from rpc.cli.standard_output import say, warn
from rpc.compiler import compare, compile_idl, compiled_by, install
from rpc.errors import CompileError


def _reason(out: Path, compiler: str) -> str:
    """Return why a folder differs from what it should hold."""
    before = compiled_by(out)
    if before not in (None, compiler):
        return (
            f"{out} was compiled by Thrift {before}, and this is Thrift {compiler}, whose stubs differ; name the other "
            "compiler with --thrift, or run this without --check"
        )
    return f"{out} is not what the IDL compiles to; run this without --check"


@click.command(name="compile", short_help="Compile .thrift files into Twisted stubs and their types.")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write to. It becomes a package of any name; its modules import each other relatively.",
)
@click.option(
    "-I",
    "include_dirs",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder to search for an included file that is not beside the file that includes it. Can be repeated.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; list what is missing, stale or extra, and exit 1 if any is."
)
@click.option("--thrift", metavar="PATH", help="The Thrift compiler to run. Default: thrift on the search path.")
def compile_command(
    sources: tuple[Path, ...], out: Path, include_dirs: tuple[Path, ...], check: bool, thrift: str | None
) -> None:
    """Compile .thrift files into Twisted stubs, their types (.pyi) and idl.json.

    SOURCES are .thrift files, or folders that are searched for them; what they include is compiled too. Each file
    becomes the package that its "namespace py" says, below --out.

    The command owns the files in --out that its idl.json lists: it replaces them, and removes those that no longer
    belong to the output. It leaves every other file alone, and refuses to run when one is in the way. The files are
    replaced all or none: when anything fails, --out is as it was.
    """
    try:
        compiled = compile_idl(sources, include_dirs, thrift)
        difference = compare(out, compiled.files) if check else install(out, compiled.files)
        reason = _reason(out, compiled.compiler) if check and difference else ""
    except CompileError as error:
        raise click.ClickException(str(error)) from error
    if reason:
        warn("\n".join([f"Error: {reason}", *difference.lines()]))
    for warning in compiled.warnings:
        warn(f"warning: {warning}")
    if reason:
        raise SystemExit(1)
    removed = len(difference.extra)
    written = len(difference.missing) + len(difference.stale)
    done = f"{out}: {len(compiled.files)} files, {written} written, {removed} removed"
    say(done, "" if check else done)
