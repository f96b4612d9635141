"""
What the shell's exit codes say; docs/shell.md has the same table.
"""

from __future__ import annotations

from ..errors import (
    AuthenticationError,
    PaymentRequiredError,
    PermissionDeniedError,
)


ALL_DONE = 0
#: Some items failed.
FAILED = 1
#: Wrong usage or input; nothing was asked for.
USAGE = 2
#: The account says no: key, credit, plan.
ACCOUNT = 3
#: How to go on is printed.
INTERRUPTED = 130


#: For the help of each command that asks.
EXIT_CODES = """
    \b
    Exit codes: 0 all done, 1 some failed, 2 wrong usage or input,
    3 the account says no, 130 interrupted.
    """


#: The errors that are the account's no.
REFUSED = (AuthenticationError, PaymentRequiredError, PermissionDeniedError)
