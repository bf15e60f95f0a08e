"""docs/configuration.md: it is what its script makes, and no description says another default than the code has."""

from __future__ import annotations

import luigi
import pytest

from scripts import configuration
from tasks.config.sections import SECTIONS, SHARED
from tests.support.checkout import ROOT


def test_the_page_is_what_its_script_makes_of_the_code() -> None:
    page = configuration.PAGE.read_text(encoding="utf-8")

    assert page == configuration.page(), "docs/configuration.md is not what the code says. Next: make configuration"


def test_every_setting_has_one_row_in_the_table_of_its_section() -> None:
    for name, values in SECTIONS.items():
        _, _, section = configuration.page().partition(f"\n## `[{name}]`\n")
        rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]

        assert [row.split("`")[1] for row in rows] == [key for key, _ in values.get_params()], name
        assert {row.count(" | ") for row in rows} == {4 if name in ("training", "decision", "evaluation") else 3}, name


def test_a_description_says_the_default_that_the_code_has() -> None:
    shown = {
        f"{name}.{key}": configuration.default(name, key, parameter)
        for name, values in SECTIONS.items()
        for key, parameter in values.get_params()
    }

    assert [key for key, default in shown.items() if not default] == []
    assert {key: default for key, default in shown.items() if default.endswith(")")} == {
        "raw.separator": "`,` (a comma)"
    }


@pytest.mark.parametrize(
    ("name", "key", "shown"),
    [
        ("lake", "trust_unconditional_puts", "`false`"),
        ("pipeline", "first_date", "the use case's"),
        ("training", "balancing", "`undersample`; `none` for `ClassLabel` and `NumberLabel`"),
        ("training", "min_accuracy", "`0`, no gate"),
        ("raw", "path", "`{root}/{use_case}/raw/{feed}/date={date:%%Y-%%m-%%d}`"),
        ("spark", "conf", "`{}`"),
    ],
)
def test_a_default_stands_as_a_file_has_it(name: str, key: str, shown: str) -> None:
    assert configuration.default(name, key, dict(SECTIONS[name].get_params())[key]) == shown


def test_another_default_in_a_description_is_shown_beside_that_of_the_code() -> None:
    parameter = luigi.FloatParameter(default=0.0, description="a share; default: 0.05")

    assert configuration.default("training", "share", parameter) == "`0` (0.05)"


def test_the_settings_that_are_the_same_for_all_use_cases_are_named_above_the_tables() -> None:
    top, _, _ = configuration.page().partition("\n## `[lake]`\n")

    sentence = (
        "`[lake] root`, `[lake] name`, `[pipeline] use_case` and `[log] directory` are the same for all use cases:"
    )
    assert sentence in top
    assert sentence.count("[") == len(SHARED)


def test_the_command_that_makes_the_page_is_a_target_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert "\nconfiguration: $(READY)\n\t$(BIN)/python -m scripts.configuration\n" in makefile
    assert '\n\t@echo "make configuration ' in makefile
