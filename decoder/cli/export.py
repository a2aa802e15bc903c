"""``opendump export``: write a capture as tables, for data frames and databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

import click

from decoder.cli.cluster import Cluster, cluster_options
from decoder.cli.live_options import LiveOptions, source_options
from decoder.cli.options import EXIT_INTERRUPTED, Options, common_options
from decoder.cli.output_file import OutputFile
from decoder.errors import OpenDError
from decoder.formatting.escape import escape

if TYPE_CHECKING:
    from decoder.output.table_columns import Table

__all__ = ["export"]

Format = Literal["parquet", "csv", "jsonl"]


@click.command()
@source_options
@click.option(
    "-o",
    "--output",
    metavar="DIR|FILE",
    required=True,
    type=click.Path(readable=False),
    help="A directory, which gets a file for each table; or FILE.parquet, FILE.csv, FILE.jsonl for one --table.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["parquet", "csv", "jsonl"]),
    help="Format of the files (default: parquet, or that of FILE). Parquet needs scapy-opend[parquet].",
)
@click.option("--table", "names", metavar="NAME,...", multiple=True, help="Only these tables. Repeatable.")
@click.option("--wide", is_flag=True, help="In order_book a row for each book, with 10 levels, instead of each level.")
@click.option(
    "--bodies",
    type=click.Choice(["other", "all"]),
    default="other",
    help="Which bodies stand in messages as JSON: those without a table of their own, or all.",
)
@click.option("--force", is_flag=True, help="Write into a directory that is not empty, and replace files in it.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    default=1,
    help="Processes that make the tables. (Default: 1; with more, Ctrl-C leaves no file.)",
)
@cluster_options
@click.option(
    "--add",
    is_flag=True,
    help="Add later captures to a dataset, or begin one: keys and open connections are kept in DIR/_opendump.",
)
@click.option("--resume", is_flag=True, help="Complete what an earlier run with --workers or --add left undone in DIR.")
@common_options(without=("color",))
@click.pass_context
def export(
    ctx: click.Context,
    captures: tuple[str, ...],
    live: LiveOptions | None,
    options: Options,
    output: str,
    output_format: Format | None,
    names: tuple[str, ...],
    wide: bool,
    bodies: str,
    force: bool,
    jobs: int,
    cluster: Cluster,
    add: bool,
    resume: bool,
) -> None:
    """Examples:

    \b
      opendump export day.pcapng -o day                        every table as Parquet
      opendump export day.pcapng -o ticks.csv --table rt_ticker
      opendump export day.pcapng -o day --table orders,deals --where 'symbol=HK.00700'
      opendump export */*.pcap.gz -o month --workers 8         many hosts, one directory each: a dataset
      opendump export -i lo --duration 8h -o day               of a trading day
      duckdb -c "select code, sum(turnover) from 'day/rt_ticker.parquet' group by code"

    Write the messages of CAPTURE as tables: ticks, book levels, bars, quotes, orders, fills and what goes with them.
    Columns have the names of the official Python SDK. The files get their names when all of them are complete.
    """
    from decoder.cli.run import say
    from decoder.cli.table_jobs import Share, divided, in_other_processes, make_tables

    output_format, is_file = _format(output, output_format)
    if cluster.given or add:
        if live is not None or is_file or output_format != "parquet" or force or jobs > 1:
            raise click.UsageError(
                "--workers, --scheduler, --host-of and --add write a Parquet dataset of files: without -i, --force,"
                " FILE and --jobs"
            )
        ctx.exit(
            _dataset(ctx, captures, options, cluster, output, names, wide=wide, bodies=bodies, add=add, resume=resume)
        )
    if resume:
        raise click.UsageError("--resume goes with --workers, --scheduler or --add")
    tables = _chosen(names, wide=wide)
    if is_file and len(tables) != 1:
        raise click.UsageError(f"-o {escape(output)} is one file: choose its table with --table, or give a directory")
    if output_format == "parquet":
        from decoder.output.arrow_arrays import import_pyarrow

        import_pyarrow()
    paths = {name: output if is_file else os.path.join(output, f"{name}.{output_format}") for name in tables}
    if not is_file:
        _check_directory(output, force=force)
    if live is not None or not all(map(os.path.isfile, captures)):
        jobs = 1  # what can be read only once
    own, *others = divided(list(tables), jobs)
    if others:
        options.remember_passphrase()
    with _files(tables, paths, captures, options, force=force) as files:
        shares = [
            Share(
                captures,
                {name: files[name].temporary or "" for name in share},
                output_format,
                wide,
                bodies == "all",
                ctx.params,
            )
            for share in others
        ]
        with in_other_processes(shares):
            run = make_tables(
                {name: tables[name] for name in own},
                {name: file.write for name, file in files.items()},
                output_format,
                captures,
                options,
                all_bodies=bodies == "all",
                live=live,
            )
            if run.interrupted and shares:
                say("interrupted; nothing was written, because each of the --jobs had come to another place")
                ctx.exit(EXIT_INTERRUPTED)
        if run.read_nothing:
            ctx.exit(run.finish())
    target = "standard output" if output == "-" else output
    say(f"{len(tables)} {'table' if len(tables) == 1 else 'tables'} written to {target}")
    ctx.exit(run.finish())


def _dataset(
    ctx: click.Context,
    captures: tuple[str, ...],
    options: Options,
    cluster: Cluster,
    output: str,
    names: tuple[str, ...],
    *,
    wide: bool,
    bodies: str,
    add: bool,
    resume: bool,
) -> int:
    from decoder.cli.add import add_to_dataset
    from decoder.cli.cluster import planned_source
    from decoder.cli.dataset import export_dataset
    from decoder.output.arrow_arrays import import_pyarrow

    import_pyarrow()
    from decoder.output.dataset import Settings
    from decoder.output.store import is_url

    settings = Settings(
        output if is_url(output) else os.path.abspath(output),
        tuple(_chosen(names, wide=wide)),
        wide,
        bodies == "all",
        options.show_secrets,
        planned_source(ctx, options, cluster),
    )
    chosen = settings.source.filter()
    if add and chosen is not None and chosen.follows:
        raise click.UsageError("--add cannot follow an order from one run to the next: leave order= out of --where")
    run = add_to_dataset if add else export_dataset
    return run(captures, cluster, settings, resume=resume, strict=options.strict, name=output)


def _format(output: str, chosen: Format | None) -> tuple[Format, bool]:
    """The format, and whether `output` names one file."""
    extension = os.path.splitext(output)[1]
    formats: tuple[Format, ...] = ("parquet", "csv", "jsonl")
    named = next((format for format in formats if extension == f".{format}"), None)
    if named is not None and chosen not in (None, named):
        raise click.UsageError(f"-o {escape(output)} does not go with --format {chosen}")
    return named or chosen or "parquet", named is not None or output == "-"


def _chosen(names: tuple[str, ...], *, wide: bool) -> dict[str, Table]:
    from decoder.output.table_schema import all_tables
    from decoder.schema.paths import did_you_mean

    tables = all_tables(wide=wide)
    wanted = [name for text in names for name in text.split(",") if name] or list(tables)
    for name in wanted:
        if name not in tables:
            hint = did_you_mean(name, tables) or f"; there are {', '.join(tables)}"
            raise click.UsageError(f"no table {escape(name, 80)}{hint}")
    if wide and "order_book" not in wanted:
        raise click.UsageError("--wide is about order_book, which --table leaves out")
    return {name: tables[name] for name in wanted}


def _check_directory(path: str, *, force: bool) -> None:
    try:
        os.makedirs(path, exist_ok=True)
        is_empty = not os.listdir(path)
    except OSError as error:
        raise OpenDError(f"{escape(path)}: cannot be written: {error.strerror or error}") from None
    if not (is_empty or force):
        raise OpenDError(f"{escape(path)}: is not empty; give another directory, or --force to write into it")


@contextmanager
def _files(
    tables: dict[str, Table], paths: dict[str, str], captures: tuple[str, ...], options: Options, *, force: bool
) -> Iterator[dict[str, OutputFile]]:
    """Opens a file for each table; they get their names together, when all that went before was done."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                OutputFile(paths[name], options.inputs(captures), private=options.show_secrets, force=force)
            )
            for name in tables
        }
