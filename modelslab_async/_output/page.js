"use strict";
const root = document.documentElement;
const by = (id) => document.getElementById(id);
const all = (selector, within = document) =>
  [...within.querySelectorAll(selector)];
const box = by("box"), large = box.querySelector("img"), filter = by("filter");
const figures = all("figure"), failures = all(".failed li");
const groups = all(".failed details");

// What is remembered; pages from a disk may have no storage.

const place = `page ${location.pathname}`;

function recall(storage, key) {
  try { return JSON.parse(window[storage].getItem(key)); }
  catch { return null; }
}

function remember(storage, key, value) {
  try { window[storage].setItem(key, JSON.stringify(value)); }
  catch { /* Then it is as new next time. */ }
}

// Which are shown: words, "phrases", a model, a state.

const words = new Map([...figures, ...failures].map((one) => {
  const { item, model, endpoint, seed } = one.dataset;
  const prompt = one.querySelector(".prompt").textContent;
  const told = [prompt, item, model, endpoint, seed];
  return [one, told.filter(Boolean).join("\n").toLowerCase()];
}));
const chosen = { model: null, state: null };

function wanted() {
  // Phones write quotes of their own.
  const typed = filter.value.toLowerCase().replace(/[\u201c-\u201f]/g, '"');
  const parts = typed.matchAll(/"([^"]*)"?|[^\s"]+/g);
  return [...parts].map((part) => part[1] ?? part[0]).filter(Boolean);
}

function sift() {
  const parts = wanted();
  for (const [one, text] of words) {
    const { model, state } = one.dataset;
    one.hidden = !(
      parts.every((part) => text.includes(part)) &&
      (chosen.model === null || chosen.model === model) &&
      (chosen.state === null || chosen.state === state));
  }
  for (const group of groups)
    group.hidden = all("li", group).every((one) => one.hidden);
  for (const chip of all("[data-choose]")) {
    const { choose, value } = chip.dataset;
    chip.setAttribute("aria-pressed", String(chosen[choose] === value));
  }
  const some = parts.length || chosen.model !== null || chosen.state !== null;
  const count = (ones) =>
    `${ones.filter((one) => !one.hidden).length} of ${ones.length}`;
  by("found").textContent = !some ? "" : !failures.length ? count(figures)
    : `${count(figures)} pictures, ${count(failures)} failures`;
}

filter.addEventListener("input", sift);
for (const chip of all("[data-choose]"))
  chip.addEventListener("click", () => {
    const { choose, value } = chip.dataset;
    chosen[choose] = chosen[choose] === value ? null : value;
    if (choose === "state" && chosen.state !== null)
      for (const group of groups)
        group.open = group.dataset.state === chosen.state;
    sift();
  });

// How large they are.

function resize(size) {
  root.dataset.size = size;
  for (const button of all("[data-resize]"))
    button.setAttribute("aria-pressed",
      String(button.dataset.resize === size));
}

for (const button of all("[data-resize]"))
  button.addEventListener("click", () => {
    resize(button.dataset.resize);
    remember("localStorage", "size", button.dataset.resize);
  });

// One picture, by its link: what the address says is what is shown.

let shown = null;
let stacked = false;

function next(step) {
  const seen = figures.filter((one) => !one.hidden || one === shown);
  return seen[(seen.indexOf(shown) + step + seen.length) % seen.length];
}

function show(figure) {
  shown = figure;
  const small = figure.querySelector("img");
  large.src = small.src;
  large.alt = small.alt;
  const caption = figure.querySelector("figcaption").cloneNode(true);
  const details = caption.querySelector("dl");
  details.hidden = false;
  by("told").replaceChildren(caption.querySelector(".prompt"));
  by("details").replaceChildren(details);
  by("copied").textContent = "";
  const name = by("box-name").firstElementChild;
  name.href = `#${figure.id}`;
  name.textContent = figure.dataset.name;
  by("original").href = small.src;
  const told = by("told").firstElementChild;
  box.querySelector("[data-copy=prompt]").hidden =
    told.classList.contains("name");
  box.querySelector("[data-copy=seed]").hidden = !figure.dataset.seed;
  by("beside").scrollTop = box.scrollTop = 0;
  if (!box.open) box.showModal();
  for (const step of [1, -1])
    new Image().src = next(step).querySelector("img").src;
}

function follow() {
  const hash = location.hash.slice(1);
  let item = hash;
  try { item = decodeURIComponent(hash); } catch { /* It is none, then. */ }
  const found = hash && figures.find((one) =>
    one.id === hash || one.dataset.item === item);
  if (found) show(found);
  else if (box.open) box.close();
}

function leave() {
  const figure = shown;
  shown = null;
  if (location.hash) {
    if (stacked) history.back();
    else history.replaceState(null, "", location.pathname + location.search);
  }
  stacked = false;
  figure.scrollIntoView({ block: "nearest" });
  figure.querySelector("a").focus({ preventScroll: true });
}

function turn(step) {
  location.replace(`#${next(step).id}`);
}

for (const figure of figures)
  figure.querySelector("a").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    stacked = true;
    location.hash = figure.id;
  });
window.addEventListener("hashchange", follow);
box.addEventListener("close", () => { if (shown) leave(); });
for (const button of all("[data-step]"))
  button.addEventListener("click", () => turn(Number(button.dataset.step)));
by("close").addEventListener("click", () => box.close());
by("bare").addEventListener("click", () => {
  const bare = box.classList.toggle("bare");
  by("bare").setAttribute("aria-pressed", String(bare));
});

let from = null;
by("large").addEventListener("pointerdown", (event) => {
  from = event.isPrimary ? event : null;
});
by("large").addEventListener("pointerup", (event) => {
  if (!from) return;
  const x = event.clientX - from.clientX, y = event.clientY - from.clientY;
  from = null;
  if (window.visualViewport && visualViewport.scale > 1.01) return;
  if (event.pointerType !== "mouse" && Math.abs(x) > 40 &&
      Math.abs(x) > 1.5 * Math.abs(y)) turn(x < 0 ? 1 : -1);
  else if (Math.hypot(x, y) < 10) box.close();
});

async function copy(text) {
  try { await navigator.clipboard.writeText(text); return true; }
  catch { /* Only pages that came safely may: the old way, then. */ }
  const field = document.createElement("textarea");
  field.value = text;
  box.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

for (const button of all("[data-copy]"))
  button.addEventListener("click", async () => {
    const what = button.dataset.copy;
    const text = what === "seed" ? shown.dataset.seed
      : shown.querySelector(".prompt").textContent;
    const done = await copy(text);
    by("copied").textContent = done ? `Copied the ${what}.`
      : "This browser lets nothing be copied.";
  });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (box.open) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); turn(step); }
    else if (event.key === "i") by("bare").click();
  } else if (event.key === "/" && document.activeElement !== filter) {
    event.preventDefault();
    filter.focus();
  }
});

// While the batch runs: anew, unless somebody is busy with it.

let busy = 0;
for (const kind of ["input", "pointerdown", "keydown", "wheel", "touchmove"])
  document.addEventListener(kind, () => { busy = Date.now(); },
    { passive: true });

function renew() {
  const old = Date.now() - Date.parse(root.dataset.made);
  if (document.hidden || box.open || old > 600_000 ||
      Date.now() - busy < 4000 || String(getSelection())) return;
  const top = figures.find((one) =>
    !one.hidden && one.getBoundingClientRect().bottom > 0);
  remember("sessionStorage", place, {
    filter: filter.value, chosen,
    open: groups.filter((one) => one.open).map((one) => one.dataset.reason),
    top: window.scrollY > 0 && top
      ? [top.id, top.getBoundingClientRect().top] : null });
  location.reload();
}

function restore(left) {
  filter.value = left.filter;
  Object.assign(chosen, left.chosen);
  for (const group of groups)
    group.open = left.open.includes(group.dataset.reason);
  sift();
  const top = left.top && by(left.top[0]);
  if (top) {
    history.scrollRestoration = "manual";
    top.scrollIntoView();
    window.scrollBy(0, top.getBoundingClientRect().top - left.top[1]);
  }
}

for (const part of all("[data-scripted]")) part.hidden = false;
resize(recall("localStorage", "size") ?? "medium");
sift();
const left = recall("sessionStorage", place);
if (left) { remember("sessionStorage", place, null); restore(left); }
follow();
if (root.dataset.refresh)
  setInterval(renew, 1000 * Number(root.dataset.refresh));
