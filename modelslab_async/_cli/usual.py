"""
What rows of an input don't say: their endpoint, their model, their pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import attrs

from ..errors import Problem, SpecError
from ..results import JSON
from ..specs import (
    SPECS,
    Spec,
    kind_of,
    parameters,
    picture_parameters,
    required_parameters,
)
from .arguments import is_file, is_prompt, no_prompt, seems_picture
from .requests import (
    USUAL_ENDPOINT,
    asking_with_each,
    first_parameter,
    free_pictures,
    with_model,
    with_pictures,
)
from .words import excerpt


#: A row as it was read, or what is wrong with it.
RawRow: TypeAlias = "dict[str, JSON] | Problem"


@attrs.frozen
class Usual:
    """
    What rows don't say.

    Attributes:
        kind: What is asked for.

        model: Which model; None: the usual one, where one is needed.

        pictures: What it begins with.

        folder: Where local pictures lie.
    """

    kind: type[Spec] = SPECS[USUAL_ENDPOINT]
    model: str | None = None
    pictures: tuple[str, ...] = ()
    folder: Path = Path()

    def meant(self, line: str) -> RawRow:
        """
        What a line of text asks for: it is a prompt, or a picture where there
        is none.
        """
        first = first_parameter(self.kind)
        wants_picture = parameters(self.kind)[first].is_picture
        if wants_picture and is_prompt(line, self.folder):
            return Problem(first, no_prompt(self.kind, line, alone=True))
        if wants_picture or not seems_picture(line, self.folder):
            return {first: line}
        if self._lacks_pictures() or is_file(self.folder / line):
            name = self.kind.endpoint.name
            said = f"{name} takes a prompt, and {excerpt(line)!r} is a picture"
            return Problem(first, said)
        return {first: line}

    def _lacks_pictures(self) -> bool:
        """
        Whether it needs one, and a line of text cannot say which.
        """
        needed = set(required_parameters(self.kind))
        return bool(
            needed & set(picture_parameters(self.kind)) and not self.pictures
        )

    def hint(self) -> str | None:
        """
        What to type where lines of text lack their pictures.
        """
        if parameters(self.kind)[first_parameter(self.kind)].is_picture:
            return None
        if not self._lacks_pictures():
            return None
        name = self.kind.endpoint.name
        each = asking_with_each(
            self.kind, "photos/*", f"modelslab-async batch - -e {name}"
        )
        return (
            f"{name} takes a prompt, so each line is one; a picture for all "
            f"of them: --image PICTURE; one prompt for many pictures: {each}"
        )

    def completed(self, row: dict[str, JSON]) -> dict[str, JSON]:
        """
        *row* with what it does not say.

        Raises:
            SpecError: More pictures are given than it takes.
        """
        named = row.get("endpoint") or self.kind.endpoint.name
        kind = kind_of(named)
        if kind is None:
            # Whoever reads it tells what is wrong.
            return row
        try:
            row = with_pictures(kind, row, self._pictures_for(kind, row))
        except ValueError as exc:
            raise SpecError((Problem("image", str(exc)),)) from None
        model = self.model
        if model is not None and "model_id" not in parameters(kind):
            model = None
        return with_model(kind, row, model) | {"endpoint": named}

    def _pictures_for(
        self, kind: type[Spec], row: dict[str, JSON]
    ) -> tuple[str, ...]:
        """
        Those for rows that name none; who names some has what else it needs.
        """
        free = free_pictures(kind, row)
        if len(free) == len(picture_parameters(kind)):
            return self.pictures
        lacks = set(free) & set(required_parameters(kind))
        return self.pictures[: len(lacks)]
