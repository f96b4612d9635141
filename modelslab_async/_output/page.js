"use strict";
const box = document.getElementById("box");
const large = box.querySelector("img");
const beside = box.querySelector("aside");
const filter = document.getElementById("filter");
const found = document.getElementById("found");
const figures = [...document.querySelectorAll("figure")];
const failures = [...document.querySelectorAll(".failed li")];
const words = new Map([...figures, ...failures].map(
  (one) => [one, one.textContent.toLowerCase()]));
let open = null;

function next(figure, step) {
  const seen = figures.filter((one) => !one.hidden);
  return seen[(seen.indexOf(figure) + step + seen.length) % seen.length];
}

function show(figure) {
  open = figure;
  const small = figure.querySelector("img");
  large.src = small.src;
  large.alt = small.alt;
  const told = figure.querySelector("figcaption").cloneNode(true);
  told.querySelector("dl").hidden = false;
  beside.replaceChildren(...told.children);
  beside.scrollTop = 0;
  if (!box.open) box.showModal();
  for (const step of [1, -1])
    new Image().src = next(figure, step).querySelector("img").src;
}

function sift() {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (one) => wanted.every((word) => words.get(one).includes(word));
  for (const one of words.keys()) one.hidden = !fits(one);
  const count = figures.filter((one) => !one.hidden).length;
  found.textContent = wanted.length ? `${count} of ${figures.length}` : "";
}

for (const figure of figures)
  figure.querySelector("a").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(figure);
  });
for (const button of box.querySelectorAll("button"))
  button.addEventListener("click", () => {
    const step = Number(button.dataset.step);
    if (step) show(next(open, step)); else box.close();
  });
document.getElementById("large").addEventListener("click", () => box.close());
box.addEventListener("close", () => {
  open.scrollIntoView({ block: "nearest" });
  open.querySelector("a").focus({ preventScroll: true });
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (box.open) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); show(next(open, step)); }
  } else if (event.key === "/" && document.activeElement !== filter) {
    event.preventDefault();
    filter.focus();
  }
});
filter.addEventListener("input", sift);
sift();
