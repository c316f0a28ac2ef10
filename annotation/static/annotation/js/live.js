// The live parts of a study page: fetched every few seconds while the page is looked at, and replaced
// only where they differ, so that focus, selection and scroll stay where the reader has them.

const STEP_MS = 3000;
const LONGEST_MS = 30000;

const host = document.querySelector("[data-live-url]");
const stateLine = document.getElementById("live-state");
let wait = STEP_MS;
let timer = null;

function swap(fresh) {
  for (const part of fresh.querySelectorAll("[data-live-part]")) {
    const old = document.getElementById(part.id);
    if (!old || old.innerHTML === part.innerHTML) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const scroll = old.querySelector("[data-scroll]")?.scrollLeft ?? 0;
    old.replaceChildren(...part.childNodes);
    const scroller = old.querySelector("[data-scroll]");
    if (scroller) scroller.scrollLeft = scroll;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const response = await fetch(host.dataset.liveUrl, { credentials: "same-origin", redirect: "error" });
    if (!response.ok) throw new Error(String(response.status));
    swap(new DOMParser().parseFromString(await response.text(), "text/html"));
    wait = STEP_MS;
    stateLine.textContent = stateLine.dataset.live;
    stateLine.dataset.state = "live";
  } catch {
    wait = Math.min(wait * 2, LONGEST_MS);
    stateLine.textContent = stateLine.dataset.stale;
    stateLine.dataset.state = "stale";
  }
  timer = setTimeout(refresh, wait);
}

document.addEventListener("visibilitychange", () => !document.hidden && refresh());
timer = setTimeout(refresh, wait);
