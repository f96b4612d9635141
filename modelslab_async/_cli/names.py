"""
Names that are typed: of endpoints, words, commands and options; and what is
said of one that is not known.

Whoever errs by a letter is told what was meant; lists that fill a screen are
left to the command that shows them.
"""

from __future__ import annotations

from typing import Any

import click

from click.shell_completion import CompletionItem

from ..specs import SPECS, kind_of, near, parameters


class Word(click.Choice[str]):
    """
    One of a few words, all of which are shown.
    """

    name = "word"

    def get_invalid_choice_message(
        self, value: Any, ctx: click.Context | None
    ) -> str:
        words = ", ".join(self.choices)
        return f"{value!r} is none of {words}{near(str(value), self.choices)}"


class EndpointName(click.Choice[str]):
    """
    An endpoint, by its name, spelt with _ or -, or by its class's.
    """

    name = "endpoint"

    def __init__(self) -> None:
        super().__init__(SPECS)

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """
        Its name as the library has it.
        """
        kind = kind_of(value)
        if kind is None:
            hint = near(str(value), SPECS)
            hint = hint or "; modelslab-async endpoints lists them"
            raise click.UsageError(
                f"there is no endpoint {value!r}{hint}", ctx
            )
        return kind.endpoint.name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """
        Those that begin as what was typed.
        """
        begun = incomplete.lower().replace("-", "_")
        return [
            CompletionItem(name) for name in SPECS if name.startswith(begun)
        ]


class Commands(click.Group):
    """
    A group that says which command was meant.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """
        As click does, but for what there is not.
        """
        name = args[0]
        known = name.startswith("-") or name in self.commands
        if not (known or ctx.resilient_parsing):
            hint = near(name, self.commands)
            kind = kind_of(name)
            if kind is not None:
                hint = (
                    "; it is an endpoint: modelslab-async generate "
                    f"-e {kind.endpoint.name}"
                )
            ctx.fail(f"there is no command {name!r}{hint}")
        return super().resolve_command(ctx, args)


def no_such_option(name: str, context: click.Context | None) -> str:
    """
    What is said of an option that a command does not have.
    """
    params = [] if context is None else context.command.get_params(context)
    field = name.strip("-").replace("-", "_")
    options = {
        option: param
        for param in params
        for option in param.opts
        if option.startswith("--")
    }
    hint = near(name, options)
    named = [each for each, param in options.items() if param.name == field]
    if named:
        hint = f"; did you mean {named[0]!r}?"
    elif any(field in parameters(kind) for kind in SPECS.values()):
        if "--set" in options:
            hint = f"; say --set {field}=VALUE"
        elif any(param.name == "input" for param in params):
            hint = f"; rows of .jsonl and .csv have a field {field!r}"
    return f"there is no option {name!r}{hint}"
