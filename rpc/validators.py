"""attrs validators of client and service options.

Each raises ``ConfigurationError`` with the option's name, its value and the allowed values.
"""

from __future__ import annotations

from typing import Any

import attrs

from rpc.errors import ConfigurationError


def one_of(*allowed: str) -> Any:
    """Return a validator for one of some texts."""

    def check(_: object, attribute: attrs.Attribute[str], value: str) -> None:
        if value not in allowed:
            raise ConfigurationError(f"{attribute.name}={value!r}: must be {' or '.join(map(repr, allowed))}")

    return check


def whole_number(least: int, most: int = 2**63 - 1) -> Any:
    """Return a validator for a whole number from `least` to `most`. A bool, which Python takes for one, is refused."""

    def check(_: object, attribute: attrs.Attribute[int], value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigurationError(f"{attribute.name}={value!r}: must be a whole number from {least} to {most}")

    return check


def number(above: float, most: float, *, unit: str = "") -> Any:
    """Return a validator for a number above `above`, up to `most`. A bool is refused, and NaN.

    :param unit: for the message, such as ``" of seconds"``.
    """

    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not above < value <= most:
            allowed = f"a number{unit} above {above:g}, at most {most:g}"
            raise ConfigurationError(f"{attribute.name}={value!r}: must be {allowed}")

    return check


def check_truth(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Validate that a value is True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{attribute.name}={value!r}: must be True or False")


def text(longest: int, *, but_not: str = "\0") -> Any:
    """Return a validator for text of at most `longest` bytes of UTF-8 without the character `but_not`.

    Names in AMQP 0-9-1 are short strings, of at most 255 bytes (section 4.2.5.3); some names here get a suffix.
    """

    def check(_: object, attribute: attrs.Attribute[str], value: str) -> None:
        try:
            fits = isinstance(value, str) and len(value.encode()) <= longest and but_not not in value
        except UnicodeEncodeError:
            fits = False
        if not fits:
            raise ConfigurationError(
                f"{attribute.name}={value!r}: must be text of at most {longest} bytes, no {but_not!r}"
            )

    return check
