"""Compares two transcripts and looks differences up in the table of explained ones."""

import difflib
import pathlib
import re
import tomllib

EXPLAINED = pathlib.Path(__file__).with_name("explained.toml")


def load_explained(path=EXPLAINED):
    """The rows of explained.toml: scenario, apache and ours (regular expressions), reason."""
    with open(path, "rb") as file:
        return tomllib.load(file).get("difference", [])


def hunks(apache, ours):
    """The places where the two lists of lines differ, as (apache lines, our lines, position)."""
    matcher = difflib.SequenceMatcher(None, apache, ours, autojunk=False)
    return [
        (apache[a:b], ours[c:d], a)
        for tag, a, b, c, d in matcher.get_opcodes()
        if tag != "equal"
    ]


def explains(row, scenario, apache, ours):
    """True if the row covers exactly this difference."""
    return (
        re.fullmatch(row["scenario"], scenario) is not None
        and re.fullmatch(row["apache"], "\n".join(apache)) is not None
        and re.fullmatch(row["ours"], "\n".join(ours)) is not None
    )


def unexplained(scenario, apache, ours, rows, used):
    """Text of each difference that no row covers; ids of rows that did are added to `used`."""
    texts = []
    for theirs, mine, at in hunks(apache, ours):
        row = next((row for row in rows if explains(row, scenario, theirs, mine)), None)
        if row is not None:
            used.add(row["id"])
            continue
        before = [f"      {line}" for line in apache[max(0, at - 3):at]]
        lost = [f"    - {line}" for line in theirs]
        gained = [f"    + {line}" for line in mine]
        texts.append("\n".join([*before, *lost, *gained]))
    return texts
