"""``opendump report``: one HTML file that shows a session."""

from __future__ import annotations

import dataclasses

import click

from decoder.cli.live_options import LiveOptions, source_options
from decoder.cli.options import Options, common_options, output_option

__all__ = ["report"]


@click.command()
@source_options
@click.option(
    "--pseudonyms",
    is_flag=True,
    help="Replace account, user, order and fill ids, card numbers, names, addresses and remarks by stand-ins.",
)
@output_option
@common_options(without=("show_secrets", "color"))
@click.pass_context
def report(
    ctx: click.Context,
    captures: tuple[str, ...],
    live: LiveOptions | None,
    options: Options,
    pseudonyms: bool,
    output: str | None,
) -> None:
    """Examples:

    \b
      opendump report day.pcapng --rsa-key rsa.pem -o report.html
      opendump report -i lo --duration 8h -o report.html    of a trading day
      opendump report day.pcapng --pseudonyms --utc -o report.html
      opendump report day.pcapng --where 'symbol=HK.00700' -o tencent.html

    Write one HTML file that shows a session: what went wrong, message rate, latency, connections, what became of each
    order. It loads nothing from anywhere, so it can be opened from disk, mailed, or attached to a ticket. Secrets are
    never in it; --pseudonyms takes out who and whose it was. IP addresses and symbols stay.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run
    from decoder.output.pseudonyms import Pseudonyms
    from decoder.output.replacer import Replacer
    from decoder.output.report.collector import Collector
    from decoder.output.report.page import page

    where = None if options.where is None else options.where.match
    replacer = Replacer(pseudonyms=Pseudonyms()) if pseudonyms else None
    collector = Collector(where, utc=options.utc, replacer=replacer)
    with OutputFile(output, options.inputs(captures)) as file:
        if file.terminal:
            raise click.UsageError("a report is a file for a browser: give -o report.html")
        run = Run(
            captures, dataclasses.replace(options, where=None), live=live, on_connection=collector.connection_ended
        )
        for records in run.records():
            collector.add(records)
        code = run.finish()
        if run.read_nothing:
            ctx.exit(code)
        data = collector.finish(run.summary, [reader.name for reader in run.readers], run.warnings)
        file.write(page(data, utc=options.utc))
    ctx.exit(code)
