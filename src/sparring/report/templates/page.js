"use strict";
// One slider moves every film of its player to the last frame at or before the chosen round; #step=N starts there.
// A page that has changed says so by the event "updated": every player keeps its round, or follows the last one.
const players = new WeakMap();
const connected = (player) => {
  const slider = player.querySelector(".slider");
  const output = player.querySelector(".step");
  const button = player.querySelector(".play");
  let films = [];
  let steps = [];
  const show = (index) => {
    slider.value = String(index);
    const text = "round " + steps[index].toLocaleString("en-US");
    output.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    for (const shots of films) {
      const last = shots.filter((shot) => shot.step <= steps[index]).pop() || shots[0];
      for (const shot of shots) shot.frame.hidden = shot !== last;
    }
  };
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  const play = () => {
    if (Number(slider.value) === steps.length - 1) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next < steps.length) show(next);
      if (next >= steps.length - 1) stop();
    }, 450);
  };
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  button.addEventListener("click", () => (timer ? stop() : play()));
  const asked = /step=(\d+)/.exec(location.hash);
  let wanted = asked ? Number(asked[1]) : Infinity;
  return () => {
    if (steps.length) wanted = Number(slider.value) === steps.length - 1 ? Infinity : steps[Number(slider.value)];
    films = [...player.querySelectorAll(".film")].map((film) =>
      [...film.querySelectorAll(".frame")].map((frame) => ({ step: Number(frame.dataset.step), frame }))
    );
    steps = [...new Set(films.flat().map((shot) => shot.step))].sort((a, b) => a - b);
    slider.max = String(steps.length - 1);
    show(Math.max(0, steps.filter((step) => step <= wanted).length - 1));
  };
};
const refresh = () => {
  for (const player of document.querySelectorAll(".player")) {
    if (!players.has(player)) players.set(player, connected(player));
    players.get(player)();
  }
};
addEventListener("updated", refresh);
refresh();
// A link to a run opens it.
const open = () => {
  const target = location.hash.startsWith("#run-") && document.getElementById(location.hash.slice(1));
  if (target) {
    target.open = true;
    target.scrollIntoView();
  }
};
addEventListener("hashchange", open);
open();
