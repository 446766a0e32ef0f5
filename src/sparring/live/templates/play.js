"use strict";
// Asks for a picture, draws it, asks for the next. The games themselves are trained by the server.
const board = document.querySelector(".board");
const sections = [...document.querySelectorAll(".game")];
const SIDE = Number(board.dataset.side);
const EXTENT = Number(board.dataset.extent);
const CENTRES = JSON.parse(board.dataset.centres);
const STD = Number(board.dataset.std);
const FAKE = [243, 178, 133];
const EVEN = [250, 250, 247];
const REAL = [140, 190, 226];
const GAMES = ["#009E73", "#AA4C85"];
const ARROW = 0.5; // the longest one, in units of the data
const MOST = 1200; // points of the course
const at = (id) => document.getElementById(id);
const message = at("message");
const pending = [null, null];
let settings = [{}, {}];
let playing = true;
let single = false;
let again = false;
let course = [];
let changes = [];

const post = async (path, body) => {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};

// Drawing.
const fitted = (canvas) => {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return canvas.getContext("2d");
};
const shade = (share) => {
  const [from, to, part] = share < 0.5 ? [FAKE, EVEN, 2 * share] : [EVEN, REAL, 2 * share - 1];
  return from.map((low, index) => low + (to[index] - low) * part);
};
const field = new OffscreenCanvas(SIDE, SIDE);
const drawPlane = (canvas, game) => {
  const pen = fitted(canvas);
  const size = canvas.width;
  const unit = size / (2 * EXTENT);
  const place = (x, y) => [(x + EXTENT) * unit, (EXTENT - y) * unit];
  const bytes = Uint8Array.from(atob(game.landscape), (each) => each.charCodeAt(0));
  const pixels = new ImageData(SIDE, SIDE);
  for (let row = 0; row < SIDE; row++)
    for (let column = 0; column < SIDE; column++)
      pixels.data.set([...shade(bytes[(SIDE - 1 - row) * SIDE + column] / 255), 255], 4 * (row * SIDE + column));
  field.getContext("2d").putImageData(pixels, 0, 0);
  pen.drawImage(field, 0, 0, size, size);
  pen.lineWidth = size / 200;
  pen.strokeStyle = "#00548c";
  for (const centre of CENTRES) {
    pen.beginPath();
    pen.arc(...place(...centre), 3 * STD * unit, 0, 2 * Math.PI);
    pen.stroke();
  }
  const dot = size / 230;
  for (const [x, y] of game.points) {
    const [left, top] = place(x, y);
    const isOutside = Math.abs(x) > EXTENT || Math.abs(y) > EXTENT;
    const half = isOutside ? 2 * dot : dot;
    pen.fillStyle = isOutside ? "#D55E00" : "#141414";
    const inside = (value) => Math.min(size - half, Math.max(half, value));
    pen.fillRect(inside(left) - half, inside(top) - half, 2 * half, 2 * half);
  }
  game.arrows.forEach(([x, y, dx, dy], index) => {
    const [left, top] = place(x, y);
    const [right, bottom] = place(x + ARROW * dx, y + ARROW * dy);
    const angle = Math.atan2(bottom - top, right - left);
    const head = Math.min(size / 40, Math.hypot(right - left, bottom - top) / 2);
    pen.strokeStyle = game.lies[index] ? "#D55E00" : "#1f4e5f";
    pen.setLineDash(game.lies[index] ? [size / 75, size / 110] : []);
    pen.beginPath();
    pen.moveTo(left, top);
    pen.lineTo(right, bottom);
    pen.stroke();
    pen.setLineDash([]);
    pen.beginPath();
    for (const turn of [2.6, -2.6]) {
      pen.moveTo(right, bottom);
      pen.lineTo(right + head * Math.cos(angle + turn), bottom + head * Math.sin(angle + turn));
    }
    pen.stroke();
  });
};
const drawCourse = () => {
  const canvas = document.querySelector(".history");
  const pen = fitted(canvas);
  const scale = devicePixelRatio;
  const [left, right, top, bottom] = [44 * scale, canvas.width - 12 * scale, 10 * scale, canvas.height - 22 * scale];
  const last = Math.max(1, course.length ? course[course.length - 1].round : 1);
  const across = (round) => left + ((right - left) * round) / last;
  const up = (share) => bottom - (bottom - top) * share;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.font = `${11 * scale}px system-ui, sans-serif`;
  pen.fillStyle = "#444";
  pen.lineWidth = scale;
  for (const share of [0, 0.5, 1]) {
    pen.strokeStyle = "#e2e2dc";
    pen.beginPath();
    pen.moveTo(left, up(share));
    pen.lineTo(right, up(share));
    pen.stroke();
    pen.textAlign = "right";
    pen.fillText(`${100 * share} %`, left - 5 * scale, up(share) + 4 * scale);
  }
  pen.textAlign = "right";
  pen.fillText(`round ${last.toLocaleString("en-US")}`, right, canvas.height - 7 * scale);
  pen.textAlign = "left";
  pen.fillText("0", left, canvas.height - 7 * scale);
  for (const round of changes) {
    pen.strokeStyle = "#767676";
    pen.setLineDash([3 * scale, 3 * scale]);
    pen.beginPath();
    pen.moveTo(across(round), top);
    pen.lineTo(across(round), bottom);
    pen.stroke();
  }
  GAMES.forEach((colour, game) => {
    pen.strokeStyle = colour;
    pen.lineWidth = 2 * scale;
    pen.setLineDash(game ? [7 * scale, 4 * scale] : []);
    pen.beginPath();
    for (const point of course) pen.lineTo(across(point.round), up(point.near[game]));
    pen.stroke();
  });
  pen.setLineDash([]);
};

// Settings.
const control = (section, name) => section.querySelector(`[name=${name}]`);
const show = (section, values) => {
  for (const [name, value] of Object.entries(values)) control(section, name).value = value;
  dress(section);
};
const dress = (section) => {
  for (const name of ["probability", "epsilon"])
    control(section, name).parentElement.querySelector("output").textContent = Number(control(section, name).value).toFixed(2);
  control(section, "epsilon").disabled = !control(section, "regime").selectedOptions[0]?.hasAttribute("data-attacked");
  const key = control(section, "lipschitz").selectedOptions[0]?.dataset.key;
  const title = `Strength${key ? ` (${key})` : ""}`;
  section.querySelector(".strength").textContent = title;
  control(section, "strength").disabled = !key;
};
const settingsChanged = (section, name) => {
  const game = Number(section.dataset.game);
  if (!settings[game].objective) return; // what the controls show is not known yet
  const option = control(section, "lipschitz").selectedOptions[0];
  if (name === "lipschitz" && option.dataset.key) control(section, "strength").value = option.dataset.default;
  dress(section);
  const wanted = {};
  for (const key of ["objective", "regime", "lipschitz"]) wanted[key] = control(section, key).value;
  for (const key of ["probability", "epsilon", "strength"]) wanted[key] = Number(control(section, key).value);
  pending[game] = wanted;
  wake();
};
for (const section of sections)
  section.addEventListener("input", (event) => settingsChanged(section, event.target.name));

// The loop: one request at a time; asleep while nothing is wanted.
let wake = () => {};
const asleep = () =>
  new Promise((resolve) => {
    wake = resolve;
  });
const say = (text) => {
  message.hidden = !text;
  message.textContent = text;
};
const draw = (frame) => {
  at("round").textContent = `round ${frame.round.toLocaleString("en-US")}`;
  frame.games.forEach((game, index) => {
    const section = sections[index];
    drawPlane(section.querySelector(".plane"), game);
    const critic = game.is_critic ? "critic's scores" : "D's scores";
    const numbers = `Longest gradient of G ${game.longest}; ${critic} from ${game.scores.join(" to ")}.`;
    const lines = [...game.sentences, numbers].map((line) => line.replaceAll(" %", "\u00a0%"));
    section.querySelector(".said").replaceChildren(
      ...lines.map((text, place) => Object.assign(document.createElement("p"), { textContent: text, className: place > 1 ? "note" : "" }))
    );
    section.querySelector(".plane").setAttribute("aria-label", `Game ${"AB"[index]}: ${game.sentences[0]}`);
    if (!pending[index] && JSON.stringify(settings[index]) !== JSON.stringify(game.settings)) show(section, game.settings);
    settings[index] = game.settings;
  });
  const last = course[course.length - 1];
  if (!last || frame.round > last.round) course.push({ round: frame.round, near: frame.games.map((game) => game.near) });
  if (course.length > MOST) course = course.filter((_, place) => place % 2 === 0);
  drawCourse();
};
const play = async () => {
  for (;;) {
    try {
      if (again) {
        again = false;
        await post("/restart", { seed: Number(at("seed").value) });
        course = [];
        changes = [];
      }
      const round = course.length ? course[course.length - 1].round : 0;
      for (const game of [0, 1]) {
        if (!pending[game]) continue;
        const wanted = pending[game];
        pending[game] = null;
        changes.push(round);
        await post("/change", { game, settings: wanted });
      }
      const rounds = single ? 1 : playing ? Number(at("pace").value) : 0;
      single = false;
      draw(await post("/frame", { rounds }));
      say("");
    } catch (error) {
      const isGone = error instanceof TypeError;
      say(isGone ? "No answer: sparring play has ended. Start it again and load this page anew." : error.message);
      settings = [{}, {}];
      if (isGone) playing = false;
      else await new Promise((resolve) => setTimeout(resolve, 1500));
      at("run").textContent = playing ? "Pause" : "Go on";
    }
    if (playing || pending[0] || pending[1] || single || again) await new Promise(requestAnimationFrame);
    else await asleep();
  }
};

// Buttons and keys.
const toggle = () => {
  playing = !playing;
  at("run").textContent = playing ? "Pause" : "Go on";
  wake();
};
const step = () => {
  playing = false;
  single = true;
  at("run").textContent = "Go on";
  wake();
};
const restart = () => {
  again = true;
  wake();
};
at("run").addEventListener("click", toggle);
at("single").addEventListener("click", step);
at("again").addEventListener("click", restart);
addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, button") || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = { " ": toggle, n: step, r: restart }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
addEventListener("resize", () => wake());
for (const button of document.querySelectorAll("[data-change]"))
  button.addEventListener("click", () => {
    for (const section of sections) {
      if (button.dataset.only && button.dataset.only !== section.dataset.game) continue;
      show(section, { ...settings[section.dataset.game], ...JSON.parse(button.dataset.change) });
      settingsChanged(section, "");
    }
    if ("again" in button.dataset) restart();
  });
play();
