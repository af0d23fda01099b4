"""How the words of ``thrift-rpc call`` are told apart: a word such as ``-2`` is an argument of the call."""

from __future__ import annotations

import click


class CallCommand(click.Command):
    """Takes words that begin with one ``-``, such as ``-2``, as arguments.

    click would read ``-2h`` as the options ``-2`` and ``-h``, and with ``ignore_unknown_options`` print the help.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the options first, and the other words behind ``--``.

        :raises click.NoSuchOption: a word begins with ``--`` and is no option.
        """
        options, words = _split(ctx, self.get_params(ctx), args)
        return super().parse_args(ctx, [*options, "--", *words] if words else options)


def _split(ctx: click.Context, parameters: list[click.Parameter], args: list[str]) -> tuple[list[str], list[str]]:
    """Return the options, with their values, and the other words. Behind ``--`` no word is an option."""
    known = {name: option for option in parameters if isinstance(option, click.Option) for name in option.opts}
    options: list[str] = []
    words: list[str] = []
    left = iter(args)
    for word in left:
        name, equals, _ = word.partition("=")
        if word == "--":
            words.extend(left)
        elif word in known or (name in known and name.startswith("--")):
            options.append(word)
            if not equals and not known[name].is_flag:
                value = next(left, None)
                if value is None:
                    return options, []  # so that click says that the last option needs a value
                options.append(value)
        elif word.startswith("--"):
            raise click.NoSuchOption(name, possibilities=sorted(known), ctx=ctx)
        else:
            words.append(word)
    return options, words
