// The task page: one item large, the rest as an overview; an answer is one key or one tap, is saved
// at once and leads on to the next item. The radio buttons of the plain form stay the only truth.

import { bringMarkIntoView } from "./marks.js";
import { Outbox, sendLeftovers } from "./outbox.js";

const form = document.getElementById("task-form");
const items = [...form.querySelectorAll(".item")];
const overview = document.getElementById("overview");
const thumbTemplate = document.getElementById("thumb");
const position = document.getElementById("position");
const progress = document.getElementById("progress");
const saveState = document.getElementById("save-state");
const announcer = document.getElementById("announcer");
const submitButton = document.getElementById("submit-task");
const keysSwitch = document.getElementById("keys-switch");
const zoom = document.getElementById("zoom");
const texts = form.dataset;
const rightToLeft = document.documentElement.dir === "rtl";

const radios = (item) => [...item.querySelectorAll("input[type=radio]")];
const answerOf = (item) => radios(item).find((radio) => radio.checked)?.value ?? null;
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

let current = -1;
let thumbs = [];
let shownFor = 0; // milliseconds that the current item was visible before `visibleSince`
let visibleSince = performance.now();
let keysOn = true;
let submitting = false;
let steppedWithin = false; // an arrow key moves the choice inside a radio group: do not advance
const undoStack = [];

const outbox = new Outbox({
  key: texts.assignment,
  url: texts.saveUrl,
  token: form.elements.csrfmiddlewaretoken.value,
  onState: showSaveState,
});

// --- what the page shows ---------------------------------------------------------------------

const passageOf = (item) => item.querySelector(".passage");

function scrollPassage(share) {
  const passage = passageOf(items[current]);
  passage.scrollBy({ top: share * passage.clientHeight });
}

function show(index, { focus = false } = {}) {
  const isOther = index !== current;
  if (isOther) {
    shownFor = 0;
    visibleSince = performance.now();
  }
  current = index;
  items.forEach((item, other) => item.classList.toggle("current", other === index));
  thumbs.forEach((thumb, other) => thumb.setAttribute("aria-current", String(other === index)));
  position.textContent = fill(texts.textPosition, { number: index + 1, count: items.length });
  if (isOther) bringMarkIntoView(passageOf(items[index]));
  if (focus) items[index].focus({ preventScroll: true });
}

function refresh() {
  const answers = items.map(answerOf);
  const given = answers.filter(Boolean).length;
  progress.value = given;
  progress.textContent = `${given} / ${items.length}`;
  answers.forEach((value, index) => {
    const thumb = thumbs[index];
    const label = fill(texts.textThumb, { number: index + 1, count: items.length });
    const said = value ? items[index].querySelector(`input[value=${value}]`).dataset.label : texts.textOpen;
    thumb.setAttribute("aria-label", `${label}: ${said}`);
    if (value) {
      thumb.dataset.value = value;
      thumb.classList.remove("missing");
      const use = items[index].querySelector(`.answer.${value} svg`).cloneNode(true);
      thumb.querySelector(".mark").replaceChildren(use);
    } else {
      delete thumb.dataset.value;
    }
  });
  const left = items.length - given;
  submitButton.querySelector(".submit-label").textContent =
    left > 0 ? fill(texts.textLeft, { count: left }) : texts.textSubmit;
  submitButton.classList.toggle("primary", left === 0);
}

function showSaveState(state, waiting) {
  const text = {
    saved: texts.textSaved,
    saving: texts.textSaving,
    waiting: fill(texts.textWaiting, { count: waiting }),
    refused: texts.textRefused,
  }[state];
  if (saveState.dataset.state !== state || saveState.textContent !== text) {
    saveState.dataset.state = state;
    saveState.textContent = text;
  }
  if (state === "saved" && submitting) sendForm();
  if (state === "refused" || state === "waiting") submitting = false;
}

function announce(text) {
  announcer.textContent = text;
}

// --- what the rater does --------------------------------------------------------------------

function responseTime() {
  return Math.round(shownFor + (document.hidden ? 0 : performance.now() - visibleSince));
}

// `before` is the answer that this one replaces; the radio may already show the new one.
function answer(index, value, { before, advance = true, focus = false } = {}) {
  if (submitting) return;
  const radio = radios(items[index]).find((candidate) => candidate.value === value);
  radio.checked = true;
  known[index] = value;
  undoStack.push({ index, before });
  outbox.add(items[index].dataset.item, value, index === current ? responseTime() : null);
  refresh();
  announce(fill(texts.textAnswered, { number: index + 1, answer: radio.dataset.label }));
  if (advance) moveOn(index, focus);
}

function moveOn(from, focus) {
  const order = [...items.keys()];
  const next = [...order.slice(from + 1), ...order.slice(0, from)].find((index) => !known[index]);
  if (next !== undefined) {
    show(next, { focus });
  } else if (items.every(answerOf)) {
    announce(texts.textAllAnswered);
    if (focus) submitButton.focus({ preventScroll: true });
  }
}

function undo() {
  const last = undoStack.pop();
  if (!last || submitting) return;
  const item = items[last.index];
  radios(item).forEach((radio) => { radio.checked = radio.value === last.before; });
  known[last.index] = last.before;
  if (last.before) outbox.add(item.dataset.item, last.before, null);
  else outbox.clear(item.dataset.item);
  refresh();
  show(last.index, { focus: true });
  announce(fill(texts.textUndone, { number: last.index + 1 }));
}

function trySubmit() {
  const open = items.findIndex((item) => !answerOf(item));
  if (open >= 0) {
    thumbs.forEach((thumb, index) => thumb.classList.toggle("missing", !known[index]));
    show(open, { focus: true });
    announce(fill(texts.textLeft, { count: items.filter((item) => !answerOf(item)).length }));
    return;
  }
  submitting = true;
  if (outbox.empty) sendForm();
  else {
    outbox.retryNow();
    outbox.announce();
  }
}

function sendForm() {
  submitButton.setAttribute("aria-disabled", "true");
  submitButton.querySelector(".submit-label").textContent = texts.textSubmitting;
  form.submit();
}

function openZoom() {
  const picture = items[current].querySelector("img");
  zoom.querySelector("img").src = picture.src;
  zoom.querySelector("img").alt = picture.alt;
  zoom.showModal();
}

// --- events ----------------------------------------------------------------------------------

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || zoom.open) return;
  const target = event.target;
  steppedWithin = target.type === "radio" && event.key.startsWith("Arrow");
  const back = rightToLeft ? "ArrowRight" : "ArrowLeft";
  const forward = rightToLeft ? "ArrowLeft" : "ArrowRight";
  const actions = {
    [back]: () => show(Math.max(current - 1, 0), { focus: true }),
    [forward]: () => show(Math.min(current + 1, items.length - 1), { focus: true }),
  };
  if (keysOn) {
    const say = (value) => () => answer(current, value, { before: known[current], focus: true });
    Object.assign(actions, {
      y: say("present"),
      n: say("absent"),
      u: say("cannot_tell"),
      "?": say("cannot_tell"),
      z: undo,
      Backspace: undo,
    });
    const onControl = target.closest("button, a, input");
    if (!onControl || target === submitButton) actions.Enter = trySubmit;
    if (!onControl) actions[" "] = passageOf(items[current]) ? () => scrollPassage(0.8) : openZoom;
  }
  if (passageOf(items[current]) && target.type !== "radio") {
    actions.ArrowDown = () => scrollPassage(0.2);
    actions.ArrowUp = () => scrollPassage(-0.2);
  }
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || (event.repeat && !event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  action();
}

function setKeys(on) {
  keysOn = on;
  keysSwitch.setAttribute("aria-pressed", String(on));
  keysSwitch.textContent = on ? texts.textKeysOn : texts.textKeysOff;
}

function makeThumb(item, index) {
  const thumb = thumbTemplate.content.firstElementChild.cloneNode(true);
  const button = thumb.querySelector("button");
  const picture = item.querySelector(".picture img");
  if (picture) {
    button.querySelector("img").src = picture.src;
  } else {
    const number = document.createElement("span");
    number.className = "thumb-number";
    number.textContent = String(index + 1);
    button.querySelector("img").replaceWith(number);
  }
  button.addEventListener("click", () => show(index));
  overview.append(thumb);
  return button;
}

// --- start: answers the server has, then newer ones that have not reached it yet -----------------

for (const { item, value } of outbox.queue) {
  const radio = form.querySelector(`[data-item="${item}"] input[value="${value}"]`);
  if (radio) radio.checked = true;
}
for (const item of outbox.cleared) {
  form.querySelectorAll(`[data-item="${item}"] input`).forEach((radio) => { radio.checked = false; });
}
const known = items.map(answerOf);

document.body.classList.add("enhanced");
thumbs = items.map(makeThumb);
items.forEach((item, index) => {
  item.tabIndex = -1;
  item.addEventListener("change", (event) => {
    answer(index, event.target.value, { before: known[index], advance: !steppedWithin });
    steppedWithin = false;
  });
  if (!passageOf(item)) item.querySelector(".picture").addEventListener("click", openZoom);
});
zoom.addEventListener("click", () => zoom.close());
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) shownFor += performance.now() - visibleSince;
  else visibleSince = performance.now();
});
keysSwitch.addEventListener("click", () => setKeys(!keysOn));
document.getElementById("undo").addEventListener("click", undo);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  trySubmit();
});
setKeys(true);
refresh();
show(Math.max(known.findIndex((value) => !value), 0));
outbox.announce();
outbox.flush();
sendLeftovers(texts.assignment, form.elements.csrfmiddlewaretoken.value);
