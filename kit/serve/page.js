"use strict";
// The server deletes a file after its answer: the player plays the visitor's own copy.
const sounds = {};
const send = window.fetch;
window.fetch = async (...call) => {
  const reply = await send(...call).catch((error) => {
    if (!(error instanceof TypeError)) throw error; // such as of a request that Gradio aborts
    throw new Error("The server was stopped. Start kit serve again, then drop the file again.");
  });
  const body = call[1] && call[1].body;
  const file = body instanceof FormData && body.get("files");
  if (file && reply.ok) {
    for (const path of await reply.clone().json()) sounds[path] = URL.createObjectURL(file);
  }
  return reply;
};
// Make an answer's frame as high as its page, and give it its sound.
window.showPage = (frame) => {
  const page = frame.contentDocument;
  // Of one section, the answer above says all.
  const alone = page.querySelectorAll("tbody tr").length === 1;
  const repeated = "header h1, header .score, header .lede, main section + section, footer";
  for (const part of page.querySelectorAll(repeated)) part.hidden = alone;
  if (alone) page.querySelector("main section").style.marginTop = "1rem";
  const fit = () => { frame.style.height = `${page.documentElement.offsetHeight + 2}px`; };
  new ResizeObserver(fit).observe(page.documentElement);
  const sound = page.getElementById("sound");
  if (sound && frame.dataset.sound in sounds) sound.src = sounds[frame.dataset.sound];
};
