"""A page of HTML that contains all that it needs and runs nothing."""

from __future__ import annotations

from pathlib import Path

from spark_lib.report.markup import Markup, joined, tag

STYLE = Path(__file__).with_name("report.css")


def page(title: str, body: Markup, *styles: Path) -> str:
    """The whole page, in the style of all reports and then in more ``styles``."""
    # The policy lets a browser neither fetch nor run anything, whatever the page holds.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = joined(
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", title),
        *(tag("style", Markup(style.read_text(encoding="utf-8"))) for style in (STYLE, *styles)),
    )
    return f"<!DOCTYPE html>\n{tag('html', tag('head', head), tag('body', tag('main', body)), lang='en')}\n"
