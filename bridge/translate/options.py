"""What a person says of a generated Promise, judged before Kratix would, in the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping

from function.api import names
from function.api.errors import InvalidError, shorten


def check(image: str, selector: Mapping[str, str], version: str) -> None:
    """Refuse what no Promise can have.

    Args:
        image: Of its pipelines' containers.
        selector: Labels of its Destinations.
        version: Its own; empty: it has none.

    Raises:
        InvalidError: Its path is the option's name.
    """
    if not image or image.split() != [image]:
        raise InvalidError("image", f"must be an image, not {shorten(repr(image))}")
    for key, value in selector.items():
        if not (names.is_label_key(key) and names.is_label_value(value)):
            raise InvalidError("selector", f"must be a label, not {shorten(f'{key}={value}')}")
    if not names.is_label_value(version):
        cause = f"must be a label's value such as v1.0.0, not {shorten(version)}: Kratix reads it from a label"
        raise InvalidError("version", cause)
