// The live parts of a study page: fetched every few seconds while the page is looked at, and replaced
// only where they differ, so that focus, selection and scroll stay where the reader has them. What is folded
// away is not asked for: `data-live-when` names the query field that asks for it.

const STEP_MS = 3000;
const LONGEST_MS = 30000;

const host = document.querySelector("[data-live-url]");
const address = new URL(host.dataset.liveUrl, location.href);
const stateLine = document.getElementById("live-state");
let wait = STEP_MS;
let timer = null;
let latest = 0;

function swap(fresh) {
  for (const part of fresh.querySelectorAll("[data-live-part]")) {
    const old = document.getElementById(part.id);
    if (!old || old.innerHTML === part.innerHTML) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const before = old.querySelector("[data-scroll]");
    const [left, top] = [before?.scrollLeft ?? 0, before?.scrollTop ?? 0];
    old.replaceChildren(...part.childNodes);
    old.querySelector("[data-scroll]")?.scrollTo(left, top);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  const turn = ++latest;
  try {
    const response = await fetch(address, { credentials: "same-origin", redirect: "error" });
    if (!response.ok) throw new Error(String(response.status));
    const text = await response.text();
    if (turn !== latest) return; // a newer question is under way
    swap(new DOMParser().parseFromString(text, "text/html"));
    wait = STEP_MS;
    stateLine.textContent = stateLine.dataset.live;
    stateLine.dataset.state = "live";
  } catch {
    if (turn !== latest) return;
    wait = Math.min(wait * 2, LONGEST_MS);
    stateLine.textContent = stateLine.dataset.stale;
    stateLine.dataset.state = "stale";
  }
  timer = setTimeout(refresh, wait);
}

for (const fold of document.querySelectorAll("details[data-live-when]")) {
  fold.addEventListener("toggle", () => {
    if (fold.open) address.searchParams.set(fold.dataset.liveWhen, "shown");
    else address.searchParams.delete(fold.dataset.liveWhen);
    refresh();
  });
  if (fold.open) address.searchParams.set(fold.dataset.liveWhen, "shown");
}

document.addEventListener("visibilitychange", () => !document.hidden && refresh());
timer = setTimeout(refresh, wait);
