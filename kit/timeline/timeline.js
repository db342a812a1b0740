"use strict";
(() => {
  const stage = document.getElementById("stage");
  const cursor = document.getElementById("cursor");
  const output = document.getElementById("now");
  const sound = document.getElementById("sound");
  const buttons = [...document.querySelectorAll("button[data-at]")];
  const duration = Number(stage.dataset.duration);
  const starts = JSON.parse(stage.dataset.starts);
  const labels = JSON.parse(stage.dataset.labels);
  const width = document.querySelector(".cursor").viewBox.baseVal.width;
  let now = 0;

  const clock = (s) => {
    const two = (n) => String(Math.floor(n)).padStart(2, "0");
    return s >= 3600
      ? `${Math.floor(s / 3600)}:${two((s / 60) % 60)}:${two(s % 60)}`
      : `${Math.floor(s / 60)}:${two(s % 60)}`;
  };

  const section = (s) => {
    let at = 0;
    while (at + 1 < starts.length && starts[at + 1] <= s + 1e-6) at += 1;
    return at;
  };

  const show = () => {
    const x = (now / duration) * width;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    const at = section(now);
    const text = `${clock(now)} ${labels[at]}`;
    output.textContent = text;
    stage.setAttribute("aria-valuenow", Math.round(now));
    stage.setAttribute("aria-valuetext", text);
    buttons.forEach((b, i) => b.closest("tr").classList.toggle("is-now", i === at));
  };

  const jump = (s) => {
    now = Math.min(Math.max(s, 0), duration);
    if (sound) sound.currentTime = now;
    show();
  };

  const toggle = () => {
    if (!sound) return;
    if (sound.paused) sound.play();
    else sound.pause();
  };

  const follow = () => {
    if (sound && !sound.seeking) now = Math.min(sound.currentTime, duration);
    show();
    if (sound && !sound.paused) requestAnimationFrame(follow);
  };

  const from = (event) => {
    const box = stage.getBoundingClientRect();
    jump(((event.clientX - box.left) / box.width) * duration);
  };

  stage.addEventListener("pointerdown", from);
  stage.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) from(event);
  });
  stage.addEventListener("keydown", (event) => {
    const at = section(now);
    const steps = {
      ArrowRight: now + 5, ArrowLeft: now - 5, ArrowUp: now + 5, ArrowDown: now - 5,
      PageUp: now + 60, PageDown: now - 60, Home: 0, End: duration,
      "]": starts[Math.min(at + 1, starts.length - 1)],
      "[": starts[now - starts[at] > 2 ? at : Math.max(at - 1, 0)],
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") toggle();
    else if (event.key in steps) jump(steps[event.key]);
    else return;
    event.preventDefault();
  });
  buttons.forEach((b) => b.addEventListener("click", () => jump(Number(b.dataset.at))));
  if (sound) {
    sound.addEventListener("play", follow);
    sound.addEventListener("seeked", follow);
    sound.addEventListener("timeupdate", follow);
  }
  show();
})();
