"""The page of a ledger: every claim has a section, the numbers are the entry's, no network, and no script error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from browser import browser, loaded
from report_pages import HARMLESS, HOSTILE, Page
from sparring.claims.claim_schema import Claim, ScaleName
from sparring.claims.entries import LedgerEntry, PlayedCell, PlayedSeed
from sparring.claims.judgement import judged
from sparring.claims.ledger_page import write_page
from sparring.claims.load import parse_claims
from sparring.report.format import number

CLAIMS = """
paper: A paper of the test
claims:
  figure-1:
    place: figure 1
    asserts: "TEXT is true, and this is a long sentence about it that goes on for a while until it is too long for a
      row of a table."
    published:
      - {measure: success, where: {objective: linear}, value: 0.9, note: "TEXT"}
      - {measure: score, value: 7.5, spread: 0.5, source: code}
      - {measure: score, where: {objective: cubic}, value: 6.5}
    measures: {success: {name: final, metric: success}, score: {name: final, metric: modes}}
    statements:
      - name: greater
        left: {measure: score, where: {objective: linear}}
        right: {measure: score, where: {objective: log}}
        says: "TEXT is larger"
      - {name: above, left: {measure: score}, bound: 2.0}
    charts:
      - {name: lines, y: success, x: objective}
      - {name: bars, y: score, x: objective, title: "TEXT"}
    departs: "TEXT differs"
    small: {budget: "1/10 of the TEXT", cells: [{recipe: dishonest/ring-small, axes: {objective: [log, linear]}}]}
    paper: {cells: [{recipe: dishonest/ring-small, axes: {objective: [log, linear]}}]}
  figure-2:
    place: figure 2
    asserts: Nothing of it is played.
    measures: {score: {name: final, metric: modes}}
    statements: [{name: above, left: {measure: score}, bound: 2.0}]
    small: {cells: [{recipe: dishonest/ring-small}], needs: "a store of TEXT"}
"""


def the_claims(text: str) -> dict[str, Claim]:
    """The claims of two files."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    claims = parse_claims(CLAIMS.replace("TEXT", quoted), "test.yaml").claims
    return {f"one/{name}": claim for name, claim in claims.items()} | {"two/lemma": claims["figure-2"]}


def the_entry(claim: Claim, scores: Mapping[str, float], scale: ScaleName = "small", text: str = "t") -> LedgerEntry:
    """An entry whose cells have these scores, with some spread over seeds."""
    cells = tuple(
        PlayedCell(
            labels={"objective": objective},
            source="dishonest/ring-small",
            key=f"key-of-{objective}",
            seeds={
                seed: PlayedSeed(
                    values={"success": float(seed % 2), "score": score + 0.012 * seed},
                    seconds=36.0,
                    rounds=9,
                    played=date(2026, 11, 20 + seed),
                )
                for seed in range(6)
            },
        )
        for objective, score in scores.items()
    )
    return judged("one/figure-1", claim, scale, cells, ({"device": text, text: {"torch": text}},), {"score": text})


def page_of(path: Path, text: str = "it", scores: Mapping[str, float] | None = None) -> Page:
    claims = the_claims(text)
    entry = the_entry(claims["one/figure-1"], scores or {"log": 3.0, "linear": 5.0}, text=text)
    return Page(write_page(path / "report.html", claims, [entry]))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(tmp_path_factory.mktemp("page"))


def test_every_claim_has_a_row_and_a_section(page: Page) -> None:
    sections = [found["id"] for found in page.named("article")]
    assert sections == ["one-figure-1", "one-figure-2", "two-lemma"]
    rows = [found for found in page.named("tr") if found.get("data-verdict")]
    assert [found["data-verdict"] for found in rows] == ["holds", "not played", "not played"]
    assert [found["data-paper"] for found in rows] == ["one", "one", "two"]
    assert "Of 3 claims of 2 papers, 1 holds and 2 are not played." in page.text
    for name in ("one/figure-1", "one/figure-2", "two/lemma"):
        assert page.text.count(f"sparring reproduce {name}") == 2


def test_ids_are_unique_and_every_anchor_is_met(page: Page) -> None:
    references = re.findall(r"(?:url\(|href=\")#([^)\"]+)", page.source)
    labels = [found["aria-labelledby"] for found in page.named("svg")]
    assert len(page.ids) == len(set(page.ids))
    assert {"one-figure-1", "two-lemma"} <= set(references)
    assert set(references) | set(labels) <= set(page.ids)


def test_it_needs_no_network(page: Page) -> None:
    assert not re.search(r"https?:|//[a-z]+\.|@import", page.source)
    addresses = [found[name] or "" for _, found in page.tags for name in ("src", "href", "xlink:href") if name in found]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    (policy,) = [found["content"] or "" for found in page.named("meta") if "http-equiv" in found]
    assert policy.startswith("default-src 'none'")
    assert len(page.scripts) == 1


def test_the_numbers_are_those_of_the_entry(page: Page) -> None:
    entry = the_entry(the_claims("it")["one/figure-1"], {"log": 3.0, "linear": 5.0}, text="it")
    assert entry.verdict == "holds"
    for statement in entry.statements:
        assert statement.text in page.text.replace("&gt;", ">")
        assert statement.mean is not None and statement.interval is not None
        assert number(statement.mean) in page.text
        assert f"[{number(statement.interval[0])}, {number(statement.interval[1])}]" in page.text
    for text in ("Holds at small scale (1/10 of the it), 6 seeds: all 2 statements.", "7 min 12 s", "2026-11-25"):
        assert text in page.text
    assert "key-of-log" in page.text and "0, 1, 2, 3, 4, 5" in page.text


def test_published_numbers_stand_beside_ours(page: Page) -> None:
    rows = re.findall(r"<tr><th scope=\"row\">(score|success)(.*?)</tr>", page.source)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", rest) for _, rest in rows]
    low, high = stats.t.interval(0.95, 5, 4.03, stats.sem(0.012 * np.arange(6)))
    assert cells == [
        ["90 %", "50 % [19 %, 81 %]", "paper; it"],
        ["7.5 ± 0.5", f"4.03 [{low:.3g}, {high:.3g}]", "published code"],
        ["6.5", "–", "paper"],
    ]
    assert len(page.named("svg")) == 2


def test_a_claim_that_is_not_played_says_what_it_needs(page: Page) -> None:
    section = page.source.partition('<article class="claim" id="one-figure-2"')[2].partition("</article>")[0]
    assert "Not played." in section and "a store of it" in section and "score &gt; 2" in section
    assert "<svg" not in section


def test_a_claim_with_one_scale_has_the_paper_s(page: Page) -> None:
    section = page.source.partition('<article class="claim" id="one-figure-2"')[2].partition("</article>")[0]
    assert "<dd>the paper's scale; needs" in section.replace("&#39;", "'")


def test_a_contradicted_claim_is_called_so(tmp_path: Path) -> None:
    page = page_of(tmp_path, scores={"log": 5.0, "linear": 3.0})
    assert "1 is contradicted and 2 are not played" in page.text
    assert "of 2 statements, 1 is contradicted and 1 holds." in page.text
    (row,) = [found for found in page.named("tr") if found.get("data-verdict") == "contradicted"]
    assert row["data-paper"] == "one"


def test_the_row_has_the_difference_that_the_verdict_rests_on(tmp_path: Path) -> None:
    scores = {"log": 0.5, "linear": 1.25}
    larger, above = the_entry(the_claims("it")["one/figure-1"], scores).statements
    assert (larger.verdict, above.verdict) == ("holds", "contradicted") and above.mean is not None
    table = page_of(tmp_path, scores=scores).source.partition('<table class="claims">')[2].partition("</table>")[0]
    (shown, *_) = re.findall(r'data-label="difference">(.*?) ', table)
    assert shown == number(above.mean)


def test_both_scales_have_a_section_and_the_paper_s_counts(tmp_path: Path) -> None:
    claims = the_claims("it")
    scores = {"log": 3.0, "linear": 5.0}
    entries = [
        the_entry(claims["one/figure-1"], scores),
        the_entry(claims["one/figure-1"], {"log": 5.0, "linear": 3.0}, scale="paper"),
    ]
    page = Page(write_page(tmp_path / "report.html", claims, entries))
    keys = [found["id"] for found in page.named("article")]
    assert keys[:2] == ["one-figure-1", "one-figure-1-at-paper-scale"]
    assert "Of 3 claims of 2 papers, 1 is contradicted and 2 are not played." in page.text
    assert "sparring reproduce one/figure-1 --scale paper" in page.text


def test_text_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    hostile, harmless = page_of(tmp_path / "a", HOSTILE), page_of(tmp_path / "b", HARMLESS)
    assert hostile.structure == harmless.structure
    assert hostile.scripts == harmless.scripts
    assert hostile.text.count(HOSTILE) > 5


def test_a_page_without_claims_is_written(tmp_path: Path) -> None:
    assert "No claims." in Page(write_page(tmp_path / "report.html", {}, [])).text


@pytest.mark.skipif(not browser(), reason="no browser here")
def test_its_script_runs_in_a_browser(tmp_path: Path) -> None:
    """Under the page's own policy: the filters appear and count, and a filter hides what it should."""
    source = page_of(tmp_path).source
    path = tmp_path / "report.html"
    after = loaded(path, tmp_path / "profile")
    assert '<div class="filters">' in after
    assert "3 of 3 shown" in after
    chosen = source.replace("<option>not played</option>", "<option selected>not played</option>", 1)
    path.write_text(chosen, encoding="utf-8")
    after = loaded(path, tmp_path / "profile")
    assert "2 of 3 shown" in after
    hidden = [found for found in re.findall(r"<(?:tr|article)[^>]*>", after) if "hidden" in found]
    assert len(hidden) == 2 and all('data-verdict="holds"' in found for found in hidden)
