"""``opendump keys``: write the session keys of a capture as a key log."""

from __future__ import annotations

import os
import stat
import tempfile

import click

from decoder.cli.options import EXIT_FAILED, Options, captures_argument, common_options
from decoder.errors import OpenDError

__all__ = ["keys"]


@click.command()
@captures_argument
@click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(dir_okay=False), help="The key log.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@common_options
@click.pass_context
def keys(ctx: click.Context, captures: tuple[str, ...], options: Options, output: str, force: bool) -> None:
    """Examples:

    \b
      opendump keys start.pcap --rsa-key rsa.pem -o session.keys
      opendump decode later.pcap --keylog session.keys

    Write the session keys that the InitConnect answers in CAPTURE hand out, a line per connection: who has FILE can
    decode those connections, also where a capture begins after the handshake, but no others. FILE is readable by its
    owner only. An existing FILE is kept, unless --force is given.
    """
    from decoder.cli.run import Run, say
    from decoder.crypto.keylog import key_log_line

    if os.path.lexists(output):
        if not force:
            raise OpenDError(f"{output}: exists already; give another name, or --force to replace it")
        if not stat.S_ISREG(os.lstat(output).st_mode):
            raise OpenDError(f"{output}: is no regular file, so it is not replaced")
    run = Run(captures, options)
    for _ in run.records():
        pass
    code = run.finish()
    lines = list(dict.fromkeys(key_log_line(key) for key in run.keys.harvested))
    if not lines:
        if not code:
            say("no session key found: keys are in InitConnect answers, which only the RSA key opens")
        ctx.exit(code or EXIT_FAILED)
    _write_private(output, "".join(f"{line}\n" for line in lines))
    say(f"{len(lines)} {'key' if len(lines) == 1 else 'keys'} written to {output}")
    ctx.exit(code)


def _write_private(path: str, text: str) -> None:
    """Write `text` to a file that only its owner can read from the moment it exists, then give it its name."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        handle, temporary = tempfile.mkstemp(prefix=".opendump-", dir=folder)  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="ascii", newline="\n") as file:
                file.write(text)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise OpenDError(f"{path}: cannot be written: {error.strerror}") from None
