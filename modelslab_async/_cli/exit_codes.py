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


#: The errors that are the account's no.
REFUSED = (AuthenticationError, PaymentRequiredError, PermissionDeniedError)
