"""
The shell's door, which knows what to say where the shell is not installed.
"""

from __future__ import annotations

import sys

from ._loading import loaded


def main() -> int:
    """
    Run the command that was typed; give its exit code.
    """
    try:
        from ._cli import run
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        print(  # noqa: T201
            f"modelslab-async: {exc.name} is missing; the shell comes with "
            'pip install "modelslab-async[cli]"',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        # It takes a moment to load.
        return 130
    loaded()
    return run()


if __name__ == "__main__":
    sys.exit(main())
