"""HTML and SVG whose text is always escaped: only what ``tag`` made is taken as it is."""

from __future__ import annotations

from html import escape


class Markup(str):
    """Text that is markup already."""


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element. Children that are not markup are escaped. A child or an attribute that is None is left out.

    Attributes are named as in Python: ``class_``, ``aria_hidden``. A float among them is a length, to a tenth.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: object) -> Markup:
    """Children one after the other."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(str(child), quote=False)
            for child in children
            if child is not None
        )
    )


def _value(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
