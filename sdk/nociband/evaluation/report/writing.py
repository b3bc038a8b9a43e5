"""Puts the sections into the page and the card. See nociband.evaluation.report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nociband.errors import DataError, EnvironmentProblem
from nociband.evaluation.metrics import Outcome
from nociband.evaluation.report import (
    cards,
    provenance,
    sections,
    sections_classes,
    sections_pairs,
    sections_people,
    sections_scores,
)
from nociband.evaluation.report.parts import Section
from nociband.evaluation.report.reading import View

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
SECTIONS: tuple[Callable[[View], Section | None], ...] = (
    sections.result, sections.metrics, sections_pairs.comparisons, sections_classes.roc, sections_classes.calibration,
    sections_classes.confusion, sections_scores.scatter, sections_scores.agreement, sections_people.people,
    sections_people.subgroups, sections_people.retest, sections_pairs.ablations, sections.elsewhere, provenance.data,
    provenance.tuning, provenance.plan, provenance.limits, provenance.repeat,
)


def write(result: Mapping[str, Any], predictions: Mapping[str, Outcome] | None, folder: Path) -> Path:
    """Write FOLDER/index.html and FOLDER/model_card.md; the path of the page.

    `predictions` by model may lack models or be None: what is drawn from them is then left out. Raises DataError when the result
    is none or the folder cannot be written, SpecError for a published figure that is not there, EnvironmentProblem without
    Matplotlib or Jinja2.
    """
    view = View(result, predictions or {})
    texts = {"index.html": page(view), "model_card.md": model_card(view)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as e:
        raise DataError(f"the report cannot be written into {folder}: {e}") from e
    return folder / "index.html"


def page(view: View) -> str:
    """The HTML page."""
    found = [section for make in SECTIONS if (section := make(view)) is not None and section.parts]
    title = str(view.info("title") or f"{view.get('dataset')}, {view.get('task')}")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            over=f"nociband evaluation · {view.get('dataset')} · {view.get('task')}",
            lead=cards.lead(view),
            sections=found,
            css=(TEMPLATES / "report.css").read_text("utf-8"),
            footer=f"{cards.NOT_MEDICAL} {cards.written_by(view)}",
        )
    )


def model_card(view: View) -> str:
    """The model card in Markdown, after Mitchell et al. 2019."""
    return _environment().get_template("model_card.md.j2").render(card=cards.card(view))


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as e:
        raise EnvironmentProblem("the report needs Jinja2 and Matplotlib: pip install 'nociband[train]'") from e
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
