"""A report on a stranger's run says what the stranger wrote, and does nothing of it."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml

from sparring.core.errors import SparringError, printable
from sparring.report import report_card, report_run, report_runs
from sparring.report.charts import LONGEST as LONGEST_IN_A_CHART
from sparring.runs.folder import RunFolder
from torture.browser import browser, listening, loaded
from torture.command import sparring
from torture.damaged_runs import damage
from torture.injections import OWNED, PAYLOADS, PORT, harmless
from torture.promise import Promise, Trial

CORPUS = Path(__file__).parents[1] / "corpus" / "0.1.0"
IN_STRUCTURE = frozenset(
    {
        "id",
        "href",
        "xlink:href",
        "class",
        "type",
        "http-equiv",
        "rel",
        "target",
        "for",
        "action",
        "hidden",
        "lang",
        "charset",
        "aria-labelledby",
        "data-step",
        "colspan",
        "rowspan",
        "scope",
        "open",
    }
)
"""Attributes whose values no text may change."""
OF_A_SHAPE = re.compile(r"[^#]+-[mp][0-9a-f]{10}$")
ADDRESSES = ("data:image/png;base64,", "#")
FILE_NAME = 60
"""Letters of a name of a file or folder that are the stranger's."""


class Page(HTMLParser):
    """A page's structure, and the text on it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.structure: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self._shapes: dict[str, str] = {}
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = ((name, self._kept(name, value)) for name, value in attrs)
        self.structure.append((tag, tuple(sorted(held, key=str))))
        for name, value in attrs:
            assert not name.startswith("on"), (tag, attrs)
            if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
                assert (value or "").startswith(ADDRESSES), (tag, attrs)
            if name == "style":
                assert not re.search(r"@import|expression|url\((?!#)", value or ""), (tag, attrs)

    def _kept(self, name: str, value: str | None) -> str | None:
        """The value as far as no text may change it: those ids that charts take from their shapes are numbered."""
        if name not in IN_STRUCTURE or value is None:
            return None
        return OF_A_SHAPE.sub(lambda found: self._shapes.setdefault(found[0], f"shape {len(self._shapes)}"), value)

    def handle_endtag(self, tag: str) -> None:
        self.structure.append((f"/{tag}", ()))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:100]!r}")

    def handle_data(self, data: str) -> None:
        self.text += data


# Where a stranger's text may stand.


def written_by(stranger: str, run: Path) -> None:
    """Put a text wherever a run folder has room for one; whatever is a key is told apart by a number."""
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["description"] = stranger
    recipe["data"] = recipe["data"] | (
        {"name": "store", "path": stranger, "split": stranger} if _images(recipe) else {}
    )
    for key in ("start", "fakes"):
        if recipe.get(key):
            recipe[key]["run"] = stranger
    if "extractor" in recipe:
        recipe["extractor"] = {"name": "inception", "weights": stranger}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    _write(
        run / "environment.json",
        {
            "device": stranger,
            stranger: {stranger: stranger, "list": [stranger, {stranger: stranger}]},
            "packages": {"sparring": stranger, stranger: stranger},
            "commit": stranger,
        },
    )
    value = [0.5] * recipe.get("replicas", 1)
    rows = [{"step": step, "d_real": value, stranger: value, f"_{stranger}": value} for step in (6, 12)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = json.loads((run / "summary.json").read_text())
    entry = {"value": 1.0, "interval": [0.0, 1.0], "protocol": stranger}
    told = {name: metric | {"protocol": f"{stranger} {name}"} for name, metric in summary["metrics"].items()}
    changes = {"status": stranger, "metrics": told | {stranger: entry}, "recipe": {stranger: stranger}}
    _write(run / "summary.json", summary | changes | {f"{stranger} too": stranger})
    for folder in ("samples", "probes", "checkpoints", "."):
        for name in (f"{_file_name(stranger)}.png", f"7{_file_name(stranger)}.npz", _file_name(stranger)):
            with contextlib.suppress(FileNotFoundError):
                (run / folder / name).write_text(stranger, errors="replace")
    if (run / "robustness.json").is_file():
        _write(run / "robustness.json", _everywhere(stranger, json.loads((run / "robustness.json").read_text())))


def _everywhere(stranger: str, card: dict[str, Any]) -> dict[str, Any]:
    """An evaluation whose every text is a stranger's."""
    subject = card["subjects"][0]
    for tried in (*subject["attacks"], *subject["worst"]):
        tried |= {"norm": f"{stranger} {tried['norm']}", "scales": f"{stranger} {tried['scales']}"}
    for tried in subject["attacks"]:
        tried |= {"name": f"{stranger} {tried['name']}", "kind": stranger}
    for check in subject["battery"]:
        check |= {"check": stranger, "detail": stranger}
    subject |= {
        "subject": stranger,
        "evaluated_on": stranger,
        "trained_against": stranger,
        "remarks": [stranger, stranger],
        "classes": [f"{stranger} {index}" for index in range(10)],
        "headline": {"text": stranger, "epsilon": 0.03, "accuracy": subject["clean"]},
        "transfer": {
            "sources": [stranger, "b"],
            "targets": [stranger, "b"],
            "scales": stranger,
            "attack": stranger,
            "accuracy": [[0.5, 0.5], [0.5, 0.5]],
            "interval": [],
        },
    }
    flagged = subject | {"flags": [stranger, f"{stranger} again"], "subject": f"{stranger} flagged", "examples": []}
    return card | {"subjects": [subject, flagged, {"subject": 3}], "problems": [stranger], "model": stranger}


def broken_by(stranger: str, run: Path, reason: int) -> None:
    """Make a run one that cannot be read, for one of REASONS in which a stranger has a word."""
    kinds: list[Callable[[], object]] = [
        lambda: (run / "metrics.jsonl").write_text(json.dumps({"step": 1, stranger: "no number"}) + "\n"),
        lambda: (run / "metrics.jsonl").write_text(json.dumps({"step": stranger}) + "\n"),
        lambda: (run / "recipe.yaml").write_text(json.dumps({stranger: stranger, "objective": stranger})),
        lambda: (run / "recipe.yaml").write_text(stranger, errors="replace"),
        lambda: (run / "recipe.yaml").write_text(f"extends: {json.dumps(stranger)}\n"),
        lambda: _write(run / "summary.json", {"metrics": {stranger: {stranger: 1}}}),
        lambda: (run / "summary.json").write_text(stranger, errors="replace"),
        lambda: (run / "environment.json").write_text(f"[{json.dumps(stranger)}]"),
    ]
    kinds[reason]()


REASONS = 8


def _images(recipe: dict[str, Any]) -> bool:
    return recipe["data"]["name"] == "digits"


def _file_name(text: str) -> str:
    return re.sub(r"[/\0]", "|", text)[:FILE_NAME].encode(errors="replace").decode()


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


# Trials.


def _page_of_a_run(trial: Trial) -> None:
    name = trial.draw.choice(RUNS)
    with listening() as port:
        text = _readable(_text(trial, port.number))
        pages = [report_run(RunFolder.open(_copied(trial, name, each, side))) for side, each in _twins(text)]
        _require_alike(pages, text, trial, least=8)
        if browser() and (trial.index < len(TRIALS) or trial.draw.random() < IN_A_BROWSER):
            _require_alike_in_a_browser(pages, trial)
        assert not port.reached, port.reached


def _page_of_runs(trial: Trial) -> None:
    text, names, reasons = _readable(_text(trial, 9)), trial.draw.sample(RUNS, 2), trial.draw.sample(range(REASONS), 2)
    pages = []
    for side, each in _twins(text):
        runs = [_copied(trial, name, each, side) for name in names]
        for reason in reasons:
            runs.append(_copied(trial, "classifier", each, side, name=f"9 {reason} {_file_name(each)}"))
            broken_by(each, runs[-1], reason)
        folders = [RunFolder(path) for path in runs]
        pages.append(report_runs(folders, trial.folder / side / "all.html", title=_file_name(each)))
    _require_alike(pages, text, trial, least=8)


def _page_of_a_card(trial: Trial) -> None:
    text = _readable(_text(trial, 9))
    pages = [report_card(_copied(trial, "classes", each, side)) for side, each in _twins(text)]
    _require_alike(pages, text, trial, least=5)


def _words_on_a_terminal(trial: Trial) -> None:
    text = _text(trial, 9)
    run = _copied(trial, trial.draw.choice(RUNS), text, "hostile")
    if trial.draw.random() < 0.5:
        broken_by(text, run, trial.draw.randrange(REASONS))
    verbs = [
        ["report", str(run)],
        ["report", str(run.parent)],
        ["verify", str(run)],
        ["show", str(run / "recipe.yaml")],
    ]
    verbs += [["sample", str(run), "--out", str(trial.folder / "s.png")], ["resume", str(run), "--device", "cpu"]]
    verbs += [["evaluate", str(run), "--samples", "4"], ["attack-endurance", str(run), "--cap", "1", "-n", "1"]]
    verbs += [
        ["list", text.replace("\0", "")],
        ["data", "inspect", str(run)],
        ["train", str(run / "recipe.yaml"), "--out", str(run)],
    ]
    for verb in trial.draw.sample(verbs, 3):
        found = sparring(*verb)
        said = found.out + found.err
        assert found.code in (0, 2, 4, 5) and "Traceback" not in said and "unexpected" not in said, (verb, said)
        odd = {letter for letter in said if not letter.isprintable() and letter != "\n"}
        assert not odd, (verb, odd, said[:500])


def _damaged_run(trial: Trial) -> None:
    """Whatever a file of a run holds: a page, or a sentence."""
    run = trial.folder / "run"
    shutil.copytree(CORPUS / trial.draw.choice(RUNS), run)
    for _ in range(trial.draw.choice([1, 1, 1, 2, 3])):
        damage(run, trial.draw)
    pages: dict[str, Callable[[], Path]] = {
        "run": lambda: report_run(RunFolder.open(run)),
        "runs": lambda: report_runs([RunFolder(run)], trial.folder / "all.html", title="T"),
    }
    if (run / "robustness.json").exists():
        pages["card"] = lambda: report_card(run)
    what = trial.draw.choice(list(pages))
    try:
        page = Page(pages[what]().read_text(encoding="utf-8"))
    except SparringError as error:
        refused = error
    else:
        assert not {tag for tag, _ in page.structure} & FORBIDDEN
        return
    assert what == "run", (what, refused)
    assert refused.exit_code == 4, refused
    assert 0 < len(refused.cause) < 5_000, refused


def _text(trial: Trial, port: int) -> str:
    """The payload whose turn it is, sometimes with another behind it."""
    names = list(PAYLOADS)
    text = PAYLOADS[names[trial.index // len(TRIALS) % len(names)]]
    if trial.draw.random() < 0.3:
        text += trial.draw.choice(list(PAYLOADS.values()))
    return text.replace(PORT, str(port))


def _twins(text: str) -> Iterator[tuple[str, str]]:
    yield "hostile", text
    yield "harmless", harmless(text)


def _readable(text: str) -> str:
    """The text without halves of characters, with which a file is refused."""
    return text.encode(errors="ignore").decode()


def _copied(trial: Trial, run: str, text: str, side: str, name: str = "") -> Path:
    """A run of the corpus, with a text wherever there is room for one and in its own name."""
    path = trial.folder / side / (name or f"{RUNS.index(run)} {_file_name(text)}")
    shutil.copytree(CORPUS / run, path)
    written_by(text, path)
    return path


def _require_alike(pages: list[Path], text: str, trial: Trial, least: int) -> None:
    hostile, twin = (Page(page.read_text(encoding="utf-8")) for page in pages)
    _require_equal(hostile, twin)
    for page, told in ((hostile, text), (twin, harmless(text))):
        start = printable(told.split("\n")[0], 200)[:LONGEST_IN_A_CHART]
        assert page.text.count(start) >= least, (start, page.text.count(start))


def _require_equal(hostile: Page, twin: Page) -> None:
    pairs = zip(hostile.structure, twin.structure, strict=False)
    different = next(
        (f"{index}: {first} {second}" for index, (first, second) in enumerate(pairs) if first != second), ""
    )
    assert hostile.structure == twin.structure, different or (len(hostile.structure), len(twin.structure))


def _require_alike_in_a_browser(pages: list[Path], trial: Trial) -> None:
    found = [loaded(page, trial.folder / "profile") for page in pages]
    for source in found:
        assert OWNED not in re.findall(r"<html[^>]*>", source)[0]
    _require_equal(*map(Page, found))


RUNS = ("ring", "attacked", "classes", "classifier", "finetuned")
FORBIDDEN = frozenset(
    {"iframe", "object", "embed", "link", "base", "form", "frame", "audio", "video", "source", "template"}
)
"""Tags that no report has."""
IN_A_BROWSER = 0.1
"""Of the pages of runs, how many are looked at in a browser too, beside the first."""
TRIALS = (
    _page_of_a_run,
    _damaged_run,
    _page_of_runs,
    _damaged_run,
    _words_on_a_terminal,
    _damaged_run,
    _page_of_a_card,
    _damaged_run,
)


def _trial(trial: Trial) -> None:
    trial.turn(TRIALS)(trial)


PROMISE = Promise(
    number=10,
    title="A report on a stranger's run holds no more than a harmless one, in a browser (if any) and on a terminal",
    quick=16,
    long=450,
    trial=_trial,
)
