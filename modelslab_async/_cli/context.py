"""
What every command knows: where to speak, what was typed, whom to ask.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from .._client import ModelsLab, url_asked
from .._engine.links import origin_of
from ..events import Observer
from ..journal import SIMULATOR, Identity
from ..simulator import Simulator
from .screen import Screen, Talk


#: What must not be said twice without being meant.
_ONCE = frozenset({"--resubmit-unknown", "--resubmit-failed", "--new-key"})


#: What the shell is called, however it was started.
PROGRAM = "modelslab-async"


def program() -> str:
    """
    How this shell was called, to call it again.
    """
    if Path(sys.argv[0]).name == PROGRAM:
        return PROGRAM if shutil.which(PROGRAM) else sys.argv[0]
    return f"{Path(sys.executable).name} -m modelslab_async"


@attrs.frozen
class Context:
    """
    Where to speak, and what was typed.
    """

    screen: Screen
    arguments: tuple[str, ...]
    #: The working directory; asked for before there is a loop to hold up.
    home: Path = attrs.field(factory=Path.cwd)

    def go_on(self) -> str:
        """
        The same command, which takes up what it left.
        """
        kept = [each for each in self.arguments if each not in _ONCE]
        with_input = ", with the same input" if "-" in kept else ""
        return f"go on with: {program()} {shlex.join(kept)}{with_input}"


@attrs.frozen
class Service:
    """
    Whom to ask: the service itself, or a simulator in this process.
    """

    simulate: bool
    speed: float = 1.0
    proxy: str | None = attrs.field(default=None, repr=False)
    trusted_hosts: tuple[str, ...] = ()
    slots: int | None = None

    def identity(self) -> Identity:
        """
        Whose batch would be begun; its key is empty where none is set.

        Raises:
            ConfigurationError: An option cannot be.
        """
        if self.simulate:
            return Identity(SIMULATOR, run=secrets.token_hex(8))
        key = os.environ.get("MODELSLAB_API_KEY", "").strip()
        self._client(api_key=key or "none")
        return Identity(origin_of(url_asked()), key)

    @asynccontextmanager
    async def lab(self, screen: Screen) -> AsyncIterator[ModelsLab]:
        """
        A client of it; *screen* may want to know what happens.
        """
        observers = (screen.event,) if screen.talk > Talk.USUAL else ()
        if not self.simulate:
            async with self._client(observers=observers) as lab:
                yield lab
            return
        async with (
            Simulator(
                speed=self.speed,
                slots=self.slots or 5,
            ) as simulator,
            ModelsLab.simulated(
                simulator.url, speed=self.speed, slots=self.slots
            ) as lab,
        ):
            yield lab

    def _client(
        self,
        *,
        api_key: str | None = None,
        observers: tuple[Observer, ...] = (),
    ) -> ModelsLab:
        return ModelsLab(
            api_key,
            slots=self.slots,
            proxy=self.proxy,
            trusted_hosts=self.trusted_hosts,
            observers=observers,
        )
