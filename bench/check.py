"""`python -m bench.check METHOD`: does a method keep what every method promises?

Exit codes: 0 it does; 1 it does not; 2 there is no such method.
"""

from __future__ import annotations

import click

from bench.commandline.exit_codes import exits
from bench.commandline.help import Command


@click.command(cls=Command)
@click.argument("method")
def cli(method: str) -> int:
    """Check METHOD, built in or from an installed package, and say in plain words what is missing.

    Options in brackets: 'dfa[network=mlp]'.
    Takes seconds to a few minutes: the last check trains it on digits.
    """
    import methods
    from bench.contract import CHECKS, named
    from bench.errors import UserError, describe

    try:
        named(method)
    except methods.MethodError as error:
        raise UserError(str(error)) from None
    failed = 0
    for title, check in CHECKS.items():
        try:
            check(method)
        except (Exception, SystemExit) as error:  # whatever a method's code raises is what is wrong with it
            failed += 1
            reason = str(error) if isinstance(error, AssertionError) and str(error) else describe(error)
            print(f"FAILED  {title}: {' '.join(reason.split())}", flush=True)
        else:
            print(f"ok      {title}", flush=True)
    print(f"{method} keeps the contract" if not failed else f"{failed} of {len(CHECKS)} checks failed")
    return 1 if failed else 0


main = exits(cli, "python -m bench.check")

if __name__ == "__main__":
    main()
