"""The page of a run that trains, served: it follows the run, keeps what the reader has chosen, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from browser import Tab, browser
from report_pages import played
from sparring.core.process import Progress
from sparring.core.signals import Terminated
from sparring.live import LocalServer, watch
from sparring.recipes import Recipe
from sparring.training.loop import train

STATE = """(() => {
  const text = (each) => document.querySelector(each).textContent;
  return [window.marked, text(".step"), document.querySelectorAll("details[open]").length, Math.round(scrollY)];
})()"""
"""Whether the page is the one that was marked, the round that its pictures show, what is open, and where it is."""


class Paused(Progress):
    """A training that waits after a round until it is told to go on."""

    def __init__(self, after: int) -> None:
        self._after, self.waits, self.goes = after, Event(), Event()

    def advance(self, done: int, total: int) -> None:
        if done == self._after:
            self.waits.set()
            self.goes.wait()


@contextmanager
def served(path: Path) -> Iterator[LocalServer]:
    """The page of a folder, served by a thread."""
    with watch(path) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def files_of(path: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in path.rglob("*")}


@pytest.mark.skipif(not browser(), reason="no browser here")
def test_a_page_follows_a_run_that_trains(short: Callable[..., Recipe], run_path: Path, tmp_path: Path) -> None:
    progress = Paused(after=12)
    recipe = short("log_every=3", "sample_every=3", "evaluate_every=6")
    training = Thread(target=train, args=(recipe, run_path), kwargs={"progress": progress, "device": "cpu"})
    training.start()
    assert progress.waits.wait(600)
    before = files_of(run_path)
    with served(run_path) as server, Tab(server.address, tmp_path) as tab:
        assert "still running, at round 12 of 20" in tab.value("document.querySelector('.chips').textContent")
        assert "rounds a second, about" in tab.value("document.querySelector('.chips').textContent")
        assert files_of(run_path) == before
        tab.value("""(() => {
          window.marked = true;
          const slider = document.querySelector(".slider");
          slider.value = "1";
          slider.dispatchEvent(new Event("input"));
          document.querySelector(".reading").open = true;
          scrollTo(0, 200);
        })()""")
        chosen = tab.value(STATE)
        assert chosen == [True, "round 3", 1, 200]
        curve = tab.value("document.querySelector('.chart svg').outerHTML")
        progress.goes.set()
        tab.wait("document.querySelector('.chips').textContent.includes('complete, 20 rounds')")
        assert tab.value(STATE) == chosen
        assert tab.value("document.querySelector('.chart svg').outerHTML") != curve
        assert tab.value("document.querySelector('.slider').max") == "7"
        assert not (run_path / "report.html").exists()
    training.join()


def test_a_page_is_drawn_once_for_every_state_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, drawn = played(tmp_path / "run", [], wins=1), list[Path]()

    class Drawn:
        def html(self, *_: Any, **__: Any) -> str:
            return f"drawn {len(drawn)} times"

    monkeypatch.setattr("sparring.live.watched_folder.page_of", lambda path: drawn.append(path) or Drawn())
    with served(run.path) as server:

        def answer(**headers: str) -> Any:
            return urlopen(Request(server.address, headers=headers))

        first = answer()
        assert answer().read() == first.read() == b"drawn 1 times"
        with pytest.raises(HTTPError, match="304"):
            answer(**{"If-None-Match": first.headers["ETag"]})
        run.append_row({"step": 201})
        assert answer(**{"If-None-Match": first.headers["ETag"]}).read() == b"drawn 2 times"
        for given in ("-1", "many"):
            of_json = {"Content-Type": "application/json", "Content-Length": given}
            with pytest.raises(HTTPError, match="415"):
                urlopen(Request(server.address, headers=of_json, data=b"{}"))
        for refused, headers in (("403", {"Host": "elsewhere.org"}), ("415", {"Content-Type": "text/plain"})):
            with pytest.raises(HTTPError, match=refused):
                urlopen(Request(server.address, headers=headers, data=b"{}" if refused == "415" else None))
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{server.address}recipe.yaml")
        run.recipe_path.unlink()
        monkeypatch.undo()
        with pytest.raises(HTTPError, match="409") as gone:
            answer()
        assert "no run here or below" in gone.value.read().decode()


def test_the_verb_says_what_it_serves_and_ends_with_the_signal(
    sparring: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = played(tmp_path / "run", [], wins=1).path

    def stop(server: LocalServer) -> None:
        with server:
            raise Terminated(2)

    monkeypatch.setattr("sparring.live.serve_until_stopped", stop)
    monkeypatch.setattr("sparring.report.ReportPage.html", lambda *_, **__: "")
    answer = sparring("watch", run)
    assert answer.code == 130 and "complete, 200 rounds" in answer.out and "http://127.0.0.1:" in answer.out
    assert "stopped by SIGINT" in answer.err
    found = json.loads(sparring("watch", run, "--json").out)
    assert found["address"].startswith("http://127.0.0.1:") and found["runs"] == {str(run): "complete, 200 rounds"}
    nothing = sparring("watch", tmp_path / "nothing")
    assert nothing.code == 2 and "no run here or below" in nothing.err and "try: " in nothing.err
    with LocalServer({}) as other:
        taken = sparring("watch", run, "--port", other.server_port)
    assert taken.code == 2 and f"--port {other.server_port}: is taken" in taken.err and "leave --port out" in taken.err
