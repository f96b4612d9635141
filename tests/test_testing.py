from __future__ import annotations

import asyncio

from pathlib import Path

import pytest

from modelslab_async import ModelsLab, TextToImage
from modelslab_async.simulator import Fault, Settings, Simulator


CAT = TextToImage("a cat", model_id="flux", seed=7)


@pytest.mark.asyncio
async def test_a_generation(
    modelslab: ModelsLab, modelslab_simulator: Simulator
) -> None:
    """
    A test has a client and a service without writing a line for it.
    """
    generation = await modelslab.generate(CAT)

    (entry,) = modelslab_simulator.books.accepted
    assert generation.id == str(entry.job_id)


@pytest.mark.parametrize("_again", [1, 2])
def test_the_same_ids_each_time(modelslab: ModelsLab, _again: int) -> None:
    """
    A test may name the ids that its jobs get.
    """
    generation = asyncio.run(modelslab.generate(CAT))

    assert generation.id == "134700017"


@pytest.mark.asyncio
async def test_with_a_context(modelslab: ModelsLab, tmp_path: Path) -> None:
    """
    The client can be opened and closed as any other.
    """
    async with modelslab as lab:
        paths = await lab.download(await lab.generate(CAT), tmp_path)

    assert [path.exists() for path in paths] == [True]


def test_without_a_plugin(
    modelslab: ModelsLab, modelslab_simulator: Simulator
) -> None:
    """
    The fixtures need no plugin for async tests, and outlive a loop.
    """
    modelslab_simulator.next("fetch", Fault.BAD_GATEWAY)

    first = asyncio.run(modelslab.generate(CAT))
    second = asyncio.run(modelslab.generate(CAT))

    assert first.seed == second.seed == 7
    assert len(modelslab_simulator.books.accepted) == 2


class TestSettings:
    @pytest.fixture
    def modelslab_settings(self) -> Settings:
        """
        An account with a single slot.
        """
        return Settings(speed=200, slots=1, pictures="plain")

    def test_overridden(
        self, modelslab: ModelsLab, modelslab_simulator: Simulator
    ) -> None:
        """
        A module, or a class, can have a service of its own kind; and one
        slot is enough for many calls.
        """

        async def three() -> None:
            await asyncio.gather(*(modelslab.generate(CAT) for _ in range(3)))

        asyncio.run(three())

        assert modelslab_simulator.books.peak == 1
        assert len(modelslab_simulator.books.accepted) == 3


def test_broken_settings(
    pytester: pytest.Pytester, modelslab_simulator: Simulator
) -> None:
    """
    A simulator that cannot start is an error of the test, not a hang.
    """
    port = int(modelslab_simulator.origin.rpartition(":")[2])
    pytester.makeconftest('pytest_plugins = ["modelslab_async.testing"]')
    pytester.makepyfile(
        f"""
        import functools
        import pytest
        from modelslab_async.simulator import Simulator

        @pytest.fixture(autouse=True)
        def taken(monkeypatch):
            start = Simulator.start
            monkeypatch.setattr(
                Simulator, "start", lambda self: start(self, {port})
            )

        def test(modelslab):
            pass
        """
    )

    ran = pytester.runpytest_inprocess("-p", "no:asyncio")

    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["*OSError*"])
