"""The report's page and card: what stands in them, that nothing is loaded from elsewhere, that bad input cannot break them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _report_runs import PAIN, STRESS, faces, run
from scipy.stats import mannwhitneyu

from nociband.errors import DataError, SpecError
from nociband.evaluation import report
from nociband.evaluation.metrics import Outcome
from nociband.evaluation.plan import PLANS
from nociband.evaluation.report import provenance, published, sections, sections_people, verdict
from nociband.evaluation.report.parts import Table, Text
from nociband.evaluation.report.reading import View

ALWAYS = ["result", "metrics", "comparisons", "people", "subgroups", "published", "data", "tuning", "plan", "limits", "repeat"]
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Tags with their attributes, the text of each section, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.sections: dict[str, str] = {}
        self._section = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "section":
            self._section = given["id"]
            self.sections[self._section] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if self._section:
            self.sections[self._section] += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def read(path: Path) -> Page:
    page = Page(path.read_text("utf-8"))
    assert page.open == []
    return page


Run = tuple[dict[str, Any], dict[str, Outcome]]


@pytest.fixture(scope="module")
def three() -> Run:
    return faces()


@pytest.fixture(scope="module")
def pain() -> Run:
    return run(PAIN, {"majority": 0.0, "logreg": 0.5, "s0": 0.7}, sittings=2)


@pytest.fixture(scope="module")
def pages(three: Run, pain: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind of task."""
    stress = run(STRESS, {"logreg": 0.7, "s0": 0.8}, primary="auroc")
    folder = tmp_path_factory.mktemp("reports")
    made = {"three": three, "pain": pain, "stress": stress}
    return {name: report.write(result, predictions, folder / name) for name, (result, predictions) in made.items()}


@pytest.mark.parametrize(("name", "own", "figures"), [
    ("three", ["roc", "calibration", "confusion", "ablations"], 6), ("stress", ["roc", "calibration", "confusion"], 5),
    ("pain", ["scatter", "agreement", "retest"], 5)])
def test_every_section_that_the_run_has_a_part_for_is_there_and_none_else(pages: dict[str, Path], name: str, own: list[str],
                                                                         figures: int) -> None:
    page = read(pages[name])
    assert sorted(page.sections) == sorted(ALWAYS + own)
    assert all(len(text.split()) > 10 for text in page.sections.values()), "a section is empty"
    assert page.count("svg") == figures and page.count("figcaption") == figures


def test_figures_of_the_result_stand_in_the_page_as_they_are(pages: dict[str, Path], three: Run) -> None:
    result, page = three[0], read(pages["three"])
    for model in ("s0", "logreg", "svm"):
        value = result["models"][model]["balanced_accuracy"]
        assert f"{value['low']:.3f} to {value['high']:.3f}" in page.sections["metrics"]
    difference = result["comparisons"]["pairs"]["logreg"]["difference"]
    assert f"{difference['mean']:+.3f}".replace("-", "−") in page.sections["comparisons"]
    against_s0 = result["comparisons"]["pairs"]["s0:no_attention"]["difference"]["mean"]
    assert f"{-against_s0:+.3f}".replace("-", "−") in page.sections["ablations"], "an ablation is the variant less S0"
    assert result["plan_sha256"] in page.sections["plan"] and "yes: committed as 0123456789ab" in page.sections["plan"]
    assert "the electrode came off" in page.sections["data"] and "C = 1 (8 of 8 folds)" in page.sections["tuning"]
    assert "emotion, not of pain" in page.sections["result"] and "8 people with 12 windows each" in page.sections["result"]


def test_nothing_is_loaded_from_anywhere(pages: dict[str, Path]) -> None:
    for path in pages.values():
        page, text = read(path), path.read_text("utf-8")
        assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
        for tag, given in page.tags:
            assert not {"src", "srcset", "action", "onload", "onclick"} & set(given), tag
            target = given.get("href", given.get("xlink:href", "#"))
            assert target.startswith("#"), f"<{tag}> refers to {target}"
        assert not re.search(r"https?:|//[a-z]|@import", text)
        assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
        policy = next(given["content"] for tag, given in page.tags if given.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'")


def test_every_reference_within_the_page_has_one_target(pages: dict[str, Path]) -> None:
    for path in pages.values():
        page, text = read(path), path.read_text("utf-8")
        ids = Counter(given["id"] for _, given in page.tags if "id" in given)
        assert max(ids.values()) == 1
        wanted = {given["href"][1:] for _, given in page.tags if "href" in given} | set(re.findall(r"url\(#([^)]*)\)", text))
        assert wanted and wanted <= set(ids)
        assert "#10202e" not in text.split("</style>")[1], "a figure's colour that the dark page cannot change"


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(three: Run, pages: dict[str, Path], tmp_path: Path) -> None:
    again = report.write(*three, tmp_path)
    for name in ("index.html", "model_card.md"):
        assert (again.parent / name).read_bytes() == (pages["three"].parent / name).read_bytes()


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    code = ("import sys; from pathlib import Path; from _report_runs import STRESS, run; from nociband.evaluation import report; "
            "report.write(*run(STRESS, {'logreg': 0.7, 's0': 0.8}), Path(sys.argv[1]))")
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / seed)], env=environment, check=True, timeout=120)
    assert (tmp_path / "1/index.html").read_bytes() == (tmp_path / "2/index.html").read_bytes()


EVIL = "<script>alert(1)</script>\"'&$x_1$|`{}"


def test_names_from_a_data_set_stay_text(tmp_path: Path) -> None:
    result, predictions = run(STRESS, {"logreg": 0.7, "s0": 0.8}, people=6, names=EVIL.replace("{}", "{{}}") + "{}")
    assert EVIL + "0" in result["per_subject"]["s0"]
    result |= {"title": EVIL, "dataset": EVIL, "warning": EVIL, "excluded": {EVIL: EVIL}, "protocol": EVIL,
               "labels": [EVIL, "stress"],
               "attributes": {who: {EVIL: f"{EVIL}{i % 2}"} for i, who in enumerate(result["per_subject"]["s0"])}}
    path = report.write(result, predictions, tmp_path)
    page, card = read(path), (tmp_path / "model_card.md").read_text("utf-8")
    assert page.count("script") == 0
    assert EVIL in page.sections["data"] and EVIL + "0" in page.sections["people"] and EVIL in page.sections["subgroups"]
    prose = "\n".join(line for line in card.splitlines() if not line.startswith("    "))   # a code block shows it as it is
    assert "<script" not in prose and "&lt;script&gt;" in prose
    for line in (line for line in card.splitlines() if line.startswith("|")):
        assert len(re.findall(r"(?<!\\)\|", line)) >= 3, "a name ended a cell"


def test_groups_of_five_people_or_more_are_tested_against_each_other(three: Run, tmp_path: Path) -> None:
    result, predictions = run(STRESS, {"logreg": 0.7, "s0": 0.8}, people=14)
    section = sections_people.subgroups(View(result, predictions))
    assert section is not None
    table = [part for part in section.parts if isinstance(part, Table)][1]
    each, who = result["per_subject"]["s0"], result["attributes"]
    sides = {"Sex": ("f against m", lambda a: a["sex"] == "f"),
             "Age": ("up to 39.5 against above 39.5", lambda a: a["age"] <= 39.5)}
    tests = {}
    for name, (_, first) in sides.items():
        values = [[each[p]["balanced_accuracy"] for p in each if first(who[p]) is side] for side in (True, False)]
        tests[name] = mannwhitneyu(*values)
        delta = np.mean(np.sign(np.subtract.outer(*values)))
        row = next(row for row in table.rows if row[0] == name)
        assert row[1] == sides[name][0] and row[4] == f"{tests[name].statistic:.1f}"
        assert row[5] == f"{delta:+.2f}".replace("-", "−").replace("+0.00", "0.00").replace("−0.00", "0.00")
        assert row[2] == " and ".join(str(len(v)) for v in values)
    less, more = sorted(tests, key=lambda name: tests[name].pvalue)
    adjusted = {less: min(1, 2 * tests[less].pvalue)}
    adjusted[more] = max(adjusted[less], tests[more].pvalue)
    assert {row[0]: row[6] for row in table.rows} == {name: f"{p:.3f}" for name, p in adjusted.items()}
    assert "S0, balanced accuracy of each person" in table.caption and "2 comparisons" in table.caption
    assert "Mann-Whitney" not in report.model_card(View(result, predictions))
    few = sections_people.subgroups(View(*three))   # 5 women and 3 men, 4 and 4 by age
    assert few is not None and sum(isinstance(part, Table) for part in few.parts) == 1


@pytest.mark.slow
def test_any_missing_part_is_left_out(three: Run) -> None:
    result = three[0]
    needed = {"dataset", "task", "models"}
    for gone in sorted(set(result) - needed):
        page = Page(report.page(View({k: v for k, v in result.items() if k not in (gone, "per_subject", "comparisons")})))
        assert page.open == [] and all(len(text.split()) > 8 for text in page.sections.values()), gone


def test_the_least_result_makes_a_page(tmp_path: Path) -> None:
    least = {"dataset": "fmov", "task": "emotion3", "models": {"s0": {"accuracy": {"mean": 0.4, "low": None, "high": None}}}}
    page = read(report.write(least, None, tmp_path))
    assert set(page.sections) == {"result", "metrics", "published", "limits", "repeat"}
    assert "0.400 (no interval)" in page.sections["result"]


def test_a_result_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dataset, task and models"):
        report.write({}, {}, tmp_path)
    (tmp_path / "taken").write_text("")
    least = {"dataset": "d", "task": "t", "models": {"s0": {"accuracy": {"mean": 0.4}}}}
    with pytest.raises(DataError, match="cannot be written"):
        report.write(least, {}, tmp_path / "taken")


def view_of(difference: tuple[float, float, float], metric: str = "balanced_accuracy", **more: Any) -> View:
    """S0 against a logistic regression at 0.44, with this difference and its interval."""
    by, low, high = difference
    models = {"s0": {metric: {"mean": 0.44 + by, "low": 0.38, "high": 0.48}},
              "logreg": {metric: {"mean": 0.44, "low": 0.4, "high": 0.5}}}
    pairs = {"logreg": {"metric": metric, "difference": {"mean": by, "low": low, "high": high}}}
    return View({"dataset": "d", "task": "t", "labels": ["a", "b", "c"], "models": models, "primary": metric,
                 "comparisons": {"reference": "s0", "metric": metric, "m": 1, "pairs": pairs}, **more})


@pytest.mark.parametrize(("difference", "metric", "words"), [
    ((-0.01, -0.05, 0.03), "balanced_accuracy", "0.010 below the best other model, logistic regression (0.440); the difference's "
     "95% interval, −0.050 to +0.030, includes 0: not shown to be better or worse."),
    ((0.0, -0.05, 0.05), "balanced_accuracy", "equal to the best other model"),
    ((0.04, 0.01, 0.07), "balanced_accuracy", "excludes 0: shown to be better on these people."),
    ((-0.04, -0.07, -0.01), "balanced_accuracy", "excludes 0: shown to be worse on these people."),
    ((-0.04, -0.07, -0.01), "brier", "excludes 0: shown to be better on these people."),
    ((0.04, 0.01, 0.07), "brier", "excludes 0: shown to be worse on these people."),
    ((0.04, 0.0, 0.07), "balanced_accuracy", "includes 0"),
])
def test_the_verdict_says_no_more_than_the_interval(difference: tuple[float, float, float], metric: str, words: str) -> None:
    assert words in verdict.sentences(view_of(difference, metric))[0]


@pytest.mark.parametrize(("source", "words"), [
    ({"file": "sdk/nociband/evaluation/plans/d_t.toml", "commit": "c"}, "nociband evaluate --dataset d --task t --json"),
    ({"file": "nociband/evaluation/plans/d_t.toml"}, "nociband evaluate --dataset d --task t --json"),
    ({"file": str(PLANS / "d_t_parts.toml")}, "--task t --plan sdk/nociband/evaluation/plans/d_t_parts.toml --json"),
    ({"file": "plans/d_t.toml", "modified": True}, "--task t --plan plans/d_t.toml --json"),
    ({"file": "mine.toml", "changed": ["protocol", "seeds"]}, "--plan mine.toml --protocol kfold:5 --seeds 2 --json"),
    ({"file": ""}, "--task t --protocol kfold:5 --models s0,logreg --seeds 2 --primary balanced_accuracy --json")])
def test_the_command_repeats_the_plan_and_what_options_changed(source: dict[str, Any], words: str) -> None:
    view = view_of((-0.01, -0.05, 0.03), plan_source=source, protocol="kfold:5", plan={"seeds": [0, 1]}, frozen=False)
    assert words in provenance.command(view)


@pytest.mark.parametrize(("rule", "words"), [
    ({"point": False, "interval": False}, "Missed"), ({"point": True, "interval": True}, "Met, by the whole 95% interval"),
    ({"point": True, "interval": False}, "so it is not shown")])
def test_the_planned_criterion_is_reported_as_met_missed_or_not_shown(rule: dict[str, bool], words: str) -> None:
    view = view_of((-0.01, -0.05, 0.03), non_inferiority={"model": "s0", "against": "logreg", "margin": 0.03,
                                                          "metric": "balanced_accuracy", **rule})
    text = verdict.sentences(view)[-1]
    assert "S0 not more than 0.03 below logistic regression" in text and words in text


def test_chance_within_the_interval_is_said() -> None:
    view = view_of((-0.01, -0.05, 0.03))
    assert "Its interval lies above chance (0.333)." in verdict.sentences(view)
    low = {**view.result["models"], "s0": {"balanced_accuracy": {"mean": 0.4, "low": 0.3, "high": 0.5}}}
    found = verdict.sentences(View({**view.result, "models": low}))
    assert any("includes chance (0.333): not shown to be better" in sentence for sentence in found)


@pytest.mark.parametrize(("low", "ahead", "said", "beaten"), [(0.45, 0.01, True, True), (0.45, -0.01, True, False),
                                                              (0.30, 0.01, False, True)])
def test_a_clock_that_does_better_than_chance_is_a_warning(low: float, ahead: float, said: bool, beaten: bool) -> None:
    view = view_of((-0.01, -0.05, 0.03))
    clock = {"balanced_accuracy": {"mean": low + 0.05, "low": low, "high": low + 0.1}}
    pairs = {"clock": {"metric": "balanced_accuracy", "difference": {"mean": ahead + 0.02, "low": ahead, "high": ahead + 0.04}}}
    seen = View({**view.result, "models": {**view.result["models"], "clock": clock},
                 "comparisons": {**view.result["comparisons"], "pairs": pairs}})
    found = [text for text in verdict.warnings(seen) if "clock alone, which looks at no signal" in text]
    assert bool(found) is said
    assert all(("S0 is not shown to beat it" in text) is not beaten for text in found)


def test_a_control_is_not_what_the_report_is_about() -> None:
    figure = {"balanced_accuracy": {"mean": 0.4, "low": 0.35, "high": 0.45}}
    models = {name: figure for name in ("majority", "clock", "svm", "logreg")}
    view = View({"dataset": "d", "task": "t", "models": models, "comparisons": {"reference": "majority", "pairs": {"svm": {}}}})
    assert view.reference == "svm" and view.informed == ("svm", "logreg") and view.pair("logreg") is None
    assert verdict.sentences(view)[0].startswith("SVM: balanced accuracy 0.400")


def test_published_figures_hold_together_and_are_marked(pages: dict[str, Path]) -> None:
    everything = published.load()
    groups = [group for each in everything.values() for group in each]
    assert {"biovid_a", "xite", "ai4pain", "fmov", "stress_predict", "shock_trials"} <= set(everything)
    assert all(group.rows and group.protocol and group.metric and group.where for group in groups)
    assert all(0 < row.value < 2 and (row.sd is None or 0 < row.sd < 0.5) for group in groups for row in group.rows)
    ours = next(g for g in groups if g.key == "biovid_a.nguyen2025_binary")
    assert (ours.rows[0].value, ours.rows[0].sd, ours.protocol, ours.classes) == (0.8673, 0.1167, "LOSO", 2)
    page = read(pages["three"])
    shown = page.sections["published"]
    assert "Reference figures (their own protocol, not comparable)" in shown and "0.495" in shown
    assert "(our own, unpublished)" in shown and "(published" not in shown      # fmov has an anchor of ours alone
    assert {g.key for g in groups if g.own} == {g.key for g in groups if ".anchor" in g.key}


def test_published_cited_and_own_figures_are_told_apart() -> None:
    keys = ["anchor", "iqbal2022", "biovid_a.farmani_cited"]
    own = {"s0": {"auroc": {"mean": 0.7, "low": 0.6, "high": 0.8}}}
    section = sections.elsewhere(View({"dataset": "stress_predict", "task": "stress", "models": own, "primary": "auroc",
                                       "plan": {"published": keys}}))
    assert section is not None
    table = next(part for part in section.parts if isinstance(part, Table))
    systems = [row[0].partition("\n")[0] for row in table.rows]
    assert systems[:3] == ["S0 (this run)", "logistic regression (our own, unpublished)", "change in heart rate (published)"]
    assert systems[-1].endswith(" (published, cited)")
    words = " ".join(part.text for part in section.parts if isinstance(part, Text))
    assert "(our own, unpublished): an earlier analysis of this project" in words and "not checked against the original" in words


def test_a_plan_chooses_published_figures_by_key() -> None:
    found = published.beside("stress_predict", ["anchor", "biovid_a.elghaish"])
    assert [g.key for g in found] == ["stress_predict.anchor", "biovid_a.elghaish"]
    assert published.beside("a data set of one's own") == ()
    with pytest.raises(SpecError, match="no figures named 'nobody2020' for fmov; it has: .*fmov.anchor"):
        published.beside("fmov", ["nobody2020"])


def test_the_model_card_has_its_sections_and_whole_tables(pages: dict[str, Path]) -> None:
    for path in pages.values():
        card = (path.parent / "model_card.md").read_text("utf-8")
        assert re.findall("^## (.*)$", card, re.M) == [
            "Model details", "Intended use", "Out-of-scope use", "Factors", "Metrics", "Evaluation data", "Training data",
            "Ethical considerations", "Caveats and recommendations", "How to repeat it"]
        assert "Not a medical device; for research." in card
        for table in re.findall(r"(?:^\|.*\n)+", card, re.M):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(widths) == 1 and len(table.splitlines()) > 2, table
