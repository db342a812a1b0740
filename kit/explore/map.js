"use strict";
// Names come from unknown files. They are only read from attributes, and written as text.
const map = document.getElementById("map");
const dots = [...map.querySelectorAll("use")];
const boxes = [...document.querySelectorAll(".legend input")];
const [lines, tip, card, audio, playing] =
  ["lines", "tip", "card", "audio", "playing"].map((id) => document.getElementById(id));
const kind = (dot) => boxes[dot.dataset.kind].closest("label");
const label = (dot) => kind(dot).querySelector("bdi").textContent;
const place = (dot) => ["x", "y"].map((axis) => parseFloat(dot.getAttribute(axis)));
let chosen = null;

function add(parent, name, text = "", space = "http://www.w3.org/1999/xhtml") {
  const made = parent.appendChild(document.createElementNS(space, name));
  made.textContent = text;
  return made;
}

function show(dot) {
  dots.forEach((other) => other.classList.remove("shown", "near"));
  dot.classList.add("shown");
  card.replaceChildren();
  lines.replaceChildren();
  const [x, y] = place(dot);
  add(add(card, "h2"), "bdi", dot.dataset.title);
  if (dot.dataset.artists) add(add(card, "p"), "bdi", dot.dataset.artists);
  const of = add(card, "p");
  of.append(kind(dot).querySelector("svg").cloneNode(true), " ");
  add(of, "bdi", label(dot));
  if (dot.dataset.note) add(card, "p", dot.dataset.note).className = "note";
  add(card, "h3", "Nearest tracks, by cosine");
  const list = add(card, "ol");
  for (const [number, cosine] of dot.dataset.near.split(" ").map((pair) => pair.split(":"))) {
    const other = dots[number], item = add(list, "li"), button = add(item, "button");
    button.type = "button";
    add(button, "bdi", other.dataset.title);
    button.addEventListener("click", () => choose(other));
    add(item, "span", ` ${label(other)}, ${cosine}`).className = "quiet";
    if (other.classList.contains("off")) continue;
    other.classList.add("near");
    const line = add(lines, "line", "", map.namespaceURI), [toX, toY] = place(other);
    Object.entries({ x1: x, y1: y, x2: toX, y2: toY })
      .forEach(([name, value]) => line.setAttribute(name, `${value}%`));
  }
  const letters = [...dot.dataset.title];
  tip.textContent = letters.length > 30 ? `${letters.slice(0, 29).join("")}…` : letters.join("");
  tip.setAttribute("x", `${x}%`);
  tip.setAttribute("y", `${y}%`);
  tip.setAttribute("dx", x > 50 ? -12 : 12);
  tip.setAttribute("dy", y > 50 ? -8 : 18);
  tip.setAttribute("text-anchor", x > 50 ? "end" : "start");
}

function focusOn(dot) {
  dots.forEach((other) => { other.tabIndex = other === dot ? 0 : -1; });
  chosen = dot;
  dot.focus({ preventScroll: true });
  show(dot);
}

function play(dot) {
  if (audio.dataset.of === dot.id) {
    audio.paused ? audio.play().catch(() => {}) : audio.pause();
    return;
  }
  audio.pause();
  audio.dataset.of = dot.id;
  playing.textContent = dot.dataset.src ? dot.dataset.title : dot.dataset.note;
  audio.hidden = !dot.dataset.src;
  if (!dot.dataset.src) return;
  audio.src = dot.dataset.src;
  audio.play().catch((error) => {
    if (error.name === "NotSupportedError") playing.textContent = `This browser cannot play ${dot.dataset.title}.`;
  });
}

function choose(dot) {
  if (dot.classList.contains("off")) {
    boxes[dot.dataset.kind].checked = true;
    filter();
  }
  focusOn(dot);
  play(dot);
}

function filter() {
  dots.forEach((dot) => dot.classList.toggle("off", !boxes[dot.dataset.kind].checked));
  const left = dots.filter((dot) => !dot.classList.contains("off"));
  if (left.length && !left.some((dot) => dot.tabIndex === 0)) {
    dots.forEach((dot) => { dot.tabIndex = dot === left[0] ? 0 : -1; });
  }
  if (chosen && !chosen.classList.contains("off")) show(chosen);
  else { lines.replaceChildren(); tip.textContent = ""; }
}

// The dot in a direction that is near and little to the side.
function next(from, axis, sign) {
  const here = place(from);
  let best = null, least = Infinity;
  for (const dot of dots) {
    const there = place(dot), ahead = sign * (there[axis] - here[axis]);
    const cost = ahead + 2 * Math.abs(there[1 - axis] - here[1 - axis]);
    if (ahead > 0 && cost < least && !dot.classList.contains("off")) [best, least] = [dot, cost];
  }
  return best;
}

const arrows = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 1], ArrowUp: [1, -1] };
map.addEventListener("keydown", (event) => {
  const dot = event.target.closest("use");
  if (!dot || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key in arrows) {
    const found = next(dot, ...arrows[event.key]);
    if (found) focusOn(found);
  } else if (event.key === "Enter" || event.key === " ") choose(dot);
  else if (event.key === "Escape") audio.pause();
  else return;
  event.preventDefault();
});
map.addEventListener("focusin", (event) => focusOn(event.target));
map.addEventListener("click", (event) => {
  if (event.target.closest("use")) choose(event.target.closest("use"));
});
map.addEventListener("pointerover", (event) => {
  if (event.target.closest("use")) show(event.target.closest("use"));
});
// On the way to the panel the pointer passes other dots.
map.addEventListener("pointerleave", () => { if (chosen) show(chosen); });
boxes.forEach((box) => box.addEventListener("change", filter));
for (const [id, on] of [["all", true], ["none", false]]) {
  document.getElementById(id).addEventListener("click", () => {
    boxes.forEach((box) => { box.checked = on; });
    filter();
  });
}
dots[0].tabIndex = 0;
