"""
What a client is asked for one by one: pictures, jobs, files.
"""

from __future__ import annotations

import io
import os

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ._checks import check_call, check_pictures
from .errors import ConfigurationError, DownloadError
from .results import Balance, Generation, Image, Model, Stats, Upload
from .specs import AnyPath, Spec


if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    from ._engine.job import Job
    from ._lifetime import Lifetime


class Calls:
    """
    The calls of a client that give one thing each.
    """

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime

    async def generate(
        self,
        spec: Spec,
        *,
        timeout: float | None = None,
        priority: int = 0,
    ) -> Generation:
        """
        Ask for pictures, and wait for them.

        Args:
            spec: What to ask for.

            timeout: Seconds to wait, the queue included.  Neither a timeout
                nor a cancelled task loses the job: see `jobs`.

            priority: Place in the queue: lower goes first, 0 for calls, 10
                for batches.

        Raises:
            ConfigurationError: No spec, or an option that cannot be.

            JobUnfinishedError: Time is up; *sent* says whether a request left.

            OutcomeUnknownError: A request left, and no verdict came.

            ModelsLabError: What the service, or the network, said.
        """
        check_call(spec, timeout, priority)
        submitter = self._lifetime.open().submitter
        return await submitter.generate(spec, timeout, priority)

    async def submit(
        self,
        spec: Spec,
        *,
        timeout: float | None = None,
        priority: int = 0,
    ) -> Job:
        """
        Ask for pictures, and wait until the service has taken the job.

        Raises: as `generate`.
        """
        check_call(spec, timeout, priority)
        submitter = self._lifetime.open().submitter
        return await submitter.submit(spec, timeout, priority)

    def job(
        self,
        id_or_handle: str | int,
        *,
        endpoint: type[Spec] | str | None = None,
    ) -> Job:
        """
        Take up a job by its id, or by its `Job.handle`; no I/O.

        Args:
            id_or_handle: One of the two.

            endpoint: What kind of spec the job of an id was asked for with,
                or the name of its endpoint, as `specs.SPECS` has them: None
                is the first of those.  A handle knows it.

        Raises:
            ConfigurationError: It is neither, or there is no such endpoint.
        """
        return self._lifetime.job(id_or_handle, endpoint)

    def jobs(self) -> tuple[Job, ...]:
        """
        Every unfinished job, also those that nobody waits for.
        """
        rooms = self._lifetime.rooms
        return () if rooms is None else rooms.jobs()

    def stats(self) -> Stats:
        """
        What was done so far, since the client was last opened.
        """
        rooms, slots = self._lifetime.rooms, self._lifetime.options.slots
        return Stats(slots=slots or 5) if rooms is None else rooms.stats()

    # Files and models

    async def upload(self, file: bytes | AnyPath | str) -> Upload:
        """
        Upload a picture, for specs of any endpoint.

        Specs do it themselves for a local file; this is for bytes, and for
        URLs to hand on.  A content is uploaded once, and again only when its
        URL is about to die.

        Args:
            file: The picture itself, or its path.

        Raises:
            SpecError: No picture, or more than 5 MB; nothing was sent.

            ModelsLabError: What the service, or the network, said.
        """
        uploads = self._lifetime.open().on_demand.uploads
        return await uploads.upload(file)

    async def models(self, search: str | None = None) -> tuple[Model, ...]:
        """
        The public models, of which there may be thousands.

        The list is asked for once, and a hint: a `model_id` that is not on it
        is sent all the same.

        Args:
            search: Words that must stand in a model's id or name.

        Raises:
            ModelsLabError: What the service, or the network, said.
        """
        models = await self._lifetime.open().models()
        words = (search or "").casefold().split()
        return tuple(
            model
            for model in models
            if all(word in _names(model) for word in words)
        )

    # The account

    async def balance(self) -> Balance:
        """
        What the account has left, by the service's word.

        Plans that are paid by the month may not draw on it, and no price of a
        generation is told anywhere: it guards no spending.

        Raises:
            ModelsLabError: What the service, or the network, said.
        """
        account = self._lifetime.open().on_demand.account
        return await account.balance()

    async def processing_count(self) -> int:
        """
        How many of the account's jobs are under way, whoever asked for them.

        The service answers 30 times a minute: an answer is given again for
        two seconds.

        Raises:
            ModelsLabError: What the service, or the network, said.
        """
        account = self._lifetime.open().on_demand.account
        return await account.processing_count()

    # Pictures

    async def download(
        self,
        generation: Generation,
        directory: str | os.PathLike[str],
        *,
        overwrite: bool = False,
    ) -> tuple[Path, ...]:
        """
        Save a generation's pictures, as ``{id}-{n}.{ext}`` in *directory*.

        Each is whole or not there at all.  A link that is missing for a while
        is waited for; then its proxy is tried, then fresh links.

        Args:
            generation: Whose pictures.

            directory: Made where it is missing.

            overwrite: Replace what is there; else the same picture is kept,
                and another one of that name is an error.

        Raises:
            DownloadError: What could not be had, with the *paths* that could.
        """
        check_pictures(generation, Generation, directory)
        rooms = self._lifetime.open()
        return await rooms.download(
            generation, Path(directory), overwrite=overwrite
        )

    async def save(self, image: Image, path: str | os.PathLike[str]) -> Path:
        """
        Save one picture to exactly *path*, replacing what is there.

        Raises:
            DownloadError: It could not be had, or not be kept.
        """
        check_pictures(image, Image, path)
        return await self._lifetime.open().downloads.save(image, Path(path))

    async def read(self, image: Image) -> bytes:
        """
        One picture's bytes, whole.

        Raises:
            DownloadError: It could not be had.
        """
        check_pictures(image, Image)
        return await self._lifetime.open().downloads.read(image)

    async def pil(self, image: Image) -> PillowImage:
        """
        One picture as Pillow has it, loaded.

        Raises:
            DownloadError: It could not be had, or Pillow cannot read it.

            ConfigurationError: Pillow is not installed.
        """
        try:
            import PIL.Image
        except ImportError:
            raise ConfigurationError(
                "Pillow is missing: pip install pillow"
            ) from None
        data = await self.read(image)
        runtime = self._lifetime.open().runtime
        try:
            picture = PIL.Image.open(io.BytesIO(data))
            await runtime.in_thread(partial(picture.load))
        # Its readers raise what they please at bytes that are no picture.
        except Exception as exc:
            raise DownloadError(f"Pillow cannot read it: {exc}") from exc
        return picture


def _names(model: Model) -> str:
    """
    All that a model is called by.
    """
    raw = model.raw
    names = [raw[name] for name in raw if name.endswith("name")]
    return " ".join([model.model_id, *map(str, names)]).casefold()
