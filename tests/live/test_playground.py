"""The games of `sparring play`: trained by the library's round, changed while they train, under the same noise."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
import torch

from browser import Tab, browser
from sparring.core.descent import NotFiniteStep
from sparring.core.errors import SparringError
from sparring.core.pieces import members
from sparring.core.signals import Terminated
from sparring.gan.sampling import draw
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.lipschitz import Lipschitz
from sparring.live import LocalServer, Playground, play
from sparring.live.live_game import POINTS, SIDE, GameSettings, LiveGame, attacked_regimes, choices, strengths
from sparring.live.server import PageRequest

CPU = torch.device("cpu")


def samples_of(game: LiveGame) -> torch.Tensor:
    return draw(game.state, POINTS, "pictures", 0).samples


def weights_of(game: LiveGame) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in game.state.networks.state().items()}


def test_a_game_is_the_library_s_own() -> None:
    settings = GameSettings(objective="linear", probability=0.3, regime="symmetric")
    game, recipe = LiveGame(settings, seed=3), settings.recipe(3)
    state = GANState(recipe, recipe.data.open(CPU), CPU)
    for step in range(3):
        game.play(step)
        play_round(state, step)
    expected = state.networks.state()
    assert all(torch.equal(found, expected[name]) for name, found in weights_of(game).items())


def test_games_of_one_seed_differ_by_their_settings_alone() -> None:
    ground = Playground(seed=1)
    ground.change(1, ground.games[0].settings)
    first, second = ground.frame(3, budget=60)["games"]
    assert first == second
    ground.change(1, first_settings := GameSettings(probability=1.0))
    first, second = ground.frame(1, budget=60)["games"]
    assert first["points"] != second["points"] and second["settings"] == first_settings.model_dump()
    ground.restart(1)
    assert ground.step == 0 and ground.games[1].settings.probability == 1.0


@pytest.mark.parametrize("changes", [{"objective": "sine"}, {"probability": 0.4}, {"regime": "free"}], ids=str)
def test_a_turn_keeps_networks_and_moments(changes: dict[str, Any]) -> None:
    game = LiveGame(GameSettings(), seed=0)
    game.play(0)
    before, moments = weights_of(game), game.state.optimizers["discriminator"].state_dict()["state"]
    game.change(game.settings.model_copy(update=changes))
    assert all(torch.equal(kept, before[name]) for name, kept in weights_of(game).items())
    for number, kept in game.state.optimizers["discriminator"].state_dict()["state"].items():
        assert torch.equal(kept["square_avg"], moments[number]["square_avg"])
    game.play(1)
    assert any(not torch.equal(kept, before[name]) for name, kept in weights_of(game).items())


def test_every_choice_can_be_played() -> None:
    assert set(choices()["lipschitz"]) == set(members(Lipschitz)) - {"together"}
    assert choices()["objective"]["linear"] == "linear (odd)" and choices()["objective"]["log"] == "log"
    assert attacked_regimes() == {"symmetric", "mixed", "replace", "free"}
    assert {name: key.name for name, key in strengths().items()}["clip"] == "bound"
    game, generated = LiveGame(GameSettings(), seed=0), []
    changes_of_all = [{"objective": name} for name in choices()["objective"]]
    changes_of_all += [{"regime": name} for name in choices()["regime"]]
    changes_of_all += [{"lipschitz": name, "strength": 1.0} for name in choices()["lipschitz"]]
    for step, changes in enumerate(changes_of_all):
        generated.append(samples_of(game))
        game.change(game.settings.model_copy(update=changes))
        assert torch.equal(samples_of(game), generated[-1])  # a control that keeps D in another form leaves G alone
        game.play(step)
        assert not torch.equal(samples_of(game), generated[-1]), changes
        assert len(game.seen(step)["sentences"]) == 3, changes


def test_what_is_seen() -> None:
    game = LiveGame(GameSettings(objective="linear", probability=1.0), seed=0)
    game.play(0)
    seen = game.seen(1)
    shades = base64.b64decode(seen["landscape"])
    axis = torch.linspace(-game.extent, game.extent, SIDE)
    place = torch.stack([axis[3], axis[30]])[None]  # x, y
    assert shades[30 * SIDE + 3] == round(255 * float(torch.sigmoid(game.state.score(place).detach())))
    start, arrow = torch.tensor(seen["arrows"])[:, :2], torch.tensor(seen["arrows"])[:, 2:]
    assert torch.equal(start, torch.tensor(seen["points"])[: len(start)]) and float(arrow.norm(dim=1).max()) < 1.001
    moved = game.state.score(start + 0.01 * arrow) - game.state.score(start)
    assert all(seen["lies"]) and (moved.detach() < 0).float().mean() > 0.9  # every arrow leads to where D says less
    assert seen["sentences"][0].startswith("G covers ") and "No theorem covers this game" in seen["sentences"][2]


def test_a_critic_scores_and_any_other_discriminator_gives_probabilities() -> None:
    game = LiveGame(GameSettings(), seed=0)
    game.play(0)
    assert game.seen(1)["sentences"][1].startswith("D gives real samples 0.")
    game.change(game.settings.model_copy(update={"objective": "wasserstein"}))
    game.play(1)
    sentence = game.seen(2)["sentences"][1]
    assert sentence.startswith("On average D scores real samples ") and sentence.endswith(".")


def test_a_game_that_is_not_finite_stops_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    game = LiveGame(GameSettings(), seed=0)
    before = game.seen(0)

    def fails(_state: GANState, _step: int) -> None:
        raise NotFiniteStep("discriminator", "gradient")

    monkeypatch.setattr("sparring.live.live_game.play_round", fails)
    game.play(0)
    game.play(1)
    (sentence,) = game.seen(2)["sentences"]
    assert sentence.startswith("Stopped at round 1: not finite: gradient of the discriminator.")
    assert game.seen(2)["points"] == before["points"]


def test_a_turn_that_does_not_fit_changes_nothing() -> None:
    ground = Playground()
    for body in ({"game": 2, "settings": {}}, {"game": 0, "settings": {"objective": "lgo"}}, {"game": 0, "up": 1}):
        with pytest.raises(SparringError):
            ground.answer_change(PageRequest("", json.dumps(body).encode()))
    with pytest.raises(SparringError):
        ground.answer_frame(PageRequest("", b"not JSON"))
    assert ground.games[0].settings == GameSettings()


def test_the_page_begins_with_the_seed_of_the_games() -> None:
    ground = Playground(7)
    assert 'id="seed" min="0" value="7"' in ground.page(PageRequest("", b"")).body


@pytest.mark.skipif(not browser(), reason="no browser here")
def test_a_page_to_play_with(tmp_path: Path) -> None:
    with play() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        with Tab(server.address, tmp_path, (400, 900)) as tab:
            tab.wait("course.length > 1")
            tab.press("Space")
            tab.wait("document.querySelector('#run').textContent === 'Go on'")
            tab.value("document.querySelector('[name=probability]').focus()")
            tab.press("ArrowRight")
            tab.value("document.querySelectorAll('[name=objective]')[0].focus()")
            tab.value("""(() => {
              const regime = document.querySelectorAll("[name=regime]")[1];
              regime.value = "mixed";
              regime.dispatchEvent(new Event("input", { bubbles: true }));
            })()""")
            tab.wait("settings[0].probability === 0.05 && settings[1].regime === 'mixed'")
            assert tab.value("document.querySelectorAll('[name=epsilon]:disabled').length") == 1
            paused = tab.value("course[course.length - 1].round")
            tab.value("document.activeElement.blur()")
            tab.press("n")
            tab.wait(f"course[course.length - 1].round === {paused + 1}")
            assert tab.value("document.documentElement.scrollWidth <= innerWidth")
            assert tab.value("document.querySelector('#message').hidden")
            fetched = tab.value("performance.getEntriesByType('resource').map((each) => each.name)")
            assert fetched and all(name.startswith(server.address) for name in fetched)
        server.shutdown()
        thread.join()


def test_the_verb(sparring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: Queue[str] = Queue()

    def stop(server: LocalServer) -> None:
        with server:
            raise Terminated(15)

    monkeypatch.setattr("sparring.live.serve_until_stopped", stop)
    monkeypatch.setattr("webbrowser.open", opened.put)
    answer = sparring("play")
    assert answer.code == 143 and opened.get(timeout=600) in answer.out
    assert json.loads(sparring("play", "--json", "--no-open").out)["address"].startswith("http://127.0.0.1:")
    assert opened.empty()
    with LocalServer({}) as other:
        taken = sparring("play", "--no-open", "--port", other.server_port)
    assert taken.code == 2 and "is taken" in taken.err and "try: leave --port out" in taken.err
