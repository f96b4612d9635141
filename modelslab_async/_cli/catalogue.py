"""
The commands that say what can be asked for: endpoints, and models.
"""

from __future__ import annotations

import asyncio
import json

from collections.abc import Iterator

import click

from ..results import JSON, Model
from ..specs import SPECS, Spec, parameters, required_parameters
from . import options
from .arguments import how_to_say
from .context import Context, Service
from .exit_codes import ALL_DONE, EXIT_CODES, FAILED
from .model_names import keep_names
from .names import EndpointName
from .requests import WITH_PICTURE, first_parameter
from .words import clean


@click.command(
    short_help="List what can be asked for, with parameters and ranges.",
    epilog=f"""
    \b
    Examples:
      modelslab-async endpoints
      modelslab-async endpoints {WITH_PICTURE}
    """,
)
@click.argument("name", required=False, metavar="[NAME]", type=EndpointName())
@options.as_json
@click.pass_obj
def endpoints(context: Context, /, name: str | None, as_json: bool) -> int:
    """
    List what can be asked for; with NAME, its parameters and their ranges.
    """
    kinds = SPECS.values() if name is None else [SPECS[name]]
    if as_json:
        for kind in kinds:
            context.screen.result(json.dumps(_endpoint_facts(kind)))
        return ALL_DONE
    lines = _list() if name is None else _page(SPECS[name])
    indent = 2 + max(map(len, SPECS)) if name is None else 4
    for line in lines:
        context.screen.entry(line, indent)
    return ALL_DONE


def _summary_of(kind: type[Spec]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _list() -> Iterator[str]:
    widest = max(map(len, SPECS))
    for name, kind in SPECS.items():
        yield f"{name:{widest}}  {_summary_of(kind)}"


def _page(kind: type[Spec]) -> Iterator[str]:
    needed = required_parameters(kind)
    first = first_parameter(kind)
    yield f"{kind.endpoint.name}: {_summary_of(kind)}"
    yield f"In Python: {kind.__name__}; path: {kind.endpoint.path}"
    yield f"Needs: {', '.join(needed)}"
    yield (
        f"{first} stands by itself on the command line, pictures after "
        "--image, all else after --set FIELD=VALUE."
    )
    yield (
        f"As: modelslab-async generate -e {kind.endpoint.name} "
        + how_to_say(kind, [name for name in needed if name != "model_id"])
    )
    yield ""
    for name, parameter in parameters(kind).items():
        yield f"{name}: {parameter.described(required=name in needed)}"


def _endpoint_facts(kind: type[Spec]) -> dict[str, JSON]:
    needed = required_parameters(kind)
    return {
        "endpoint": kind.endpoint.name,
        "class": kind.__name__,
        "about": _summary_of(kind),
        "parameters": {
            name: {
                "required": name in needed,
                "wanted": parameter.wanted,
                "default": parameter.default,
                "about": parameter.about,
                "source": parameter.source,
            }
            for name, parameter in parameters(kind).items()
        },
    }


@click.command(
    short_help="List the public models, or look for one.",
    epilog="""
    \b
    Examples:
      modelslab-async models
      modelslab-async models anime
    """
    + EXIT_CODES,
)
@click.argument("search", required=False)
@options.as_json
@options.talk
@options.service
@click.pass_obj
def models(
    context: Context,
    /,
    search: str | None,
    as_json: bool,
    service: Service,
) -> int:
    """
    List the public models; with SEARCH, those that are called so.

    Models that are not public can be asked as well.  What was listed last is
    what completion of --model offers.
    """
    everything, found = asyncio.run(_models(context, service, search))
    keep_names(clean(model.model_id) for model in everything)
    for model in found:
        if as_json:
            context.screen.result(json.dumps(model.raw))
        else:
            context.screen.result(_line(model))
    if not found:
        context.screen.warn("no public model is called so")
    return ALL_DONE if found else FAILED


async def _models(
    context: Context, service: Service, search: str | None
) -> tuple[tuple[Model, ...], tuple[Model, ...]]:
    async with service.lab(context.screen) as lab:
        everything = await lab.models()
        found = await lab.models(search) if search else everything
        return everything, found


def _line(model: Model) -> str:
    name = model.raw.get("model_name")
    return f"{model.model_id}  {name}" if name else model.model_id
