// Answers on their way to the server. An answer is in storage before it is sent and leaves storage
// only when the server has said "saved": a reload, a dead battery or a lost network loses nothing.
// Sending an answer twice is harmless: the server knows it by its client_id.

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
const PREFIX = "neuron-jury:";

// Answers of an earlier task that this browser closed before they were sent: send them now. The
// server keeps late answers; those of a task that takes none any more are of no use to anybody.
export function sendLeftovers(currentKey, token) {
  let keys = [];
  try {
    keys = Object.keys(window.localStorage).filter((name) => name.startsWith(PREFIX));
  } catch (error) {
    console.info("This browser keeps no local copy of answers:", error.name);
  }
  for (const name of keys.filter((other) => other !== PREFIX + currentKey)) {
    const box = new Outbox({ key: name.slice(PREFIX.length), token, onState: () => box?.settle() });
    box.flush();
  }
}

export class Outbox {
  constructor({ key, url, token, onState }) {
    this.key = PREFIX + key;
    this.token = token;
    this.onState = onState;
    this.wait = FIRST_WAIT_MS;
    this.sending = null;
    this.timer = null;
    this.refusal = null;
    this.memory = { url, queue: [], cleared: [] };
    this.seen = new Set(); // client_ids that this page had or has; others in storage are another tab's
    this.load();
    window.addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => !document.hidden && this.retryNow());
  }

  // Storage can be full or forbidden (private windows): then memory alone has to do.
  load() {
    try {
      const stored = JSON.parse(window.localStorage.getItem(this.key) ?? "null");
      if (stored) this.memory = stored;
      this.queue.forEach((entry) => this.seen.add(entry.client_id));
    } catch (error) {
      console.info("This browser keeps no local copy of answers:", error.name);
    }
  }

  store() {
    try {
      // A second tab on the same task keeps its own answers here too: they stay.
      const stored = JSON.parse(window.localStorage.getItem(this.key) ?? "null");
      const others = (stored?.queue ?? []).filter((entry) => !this.seen.has(entry.client_id));
      const queue = [...others, ...this.queue];
      if (queue.length || this.cleared.length) {
        window.localStorage.setItem(this.key, JSON.stringify({ ...this.memory, queue }));
      } else {
        window.localStorage.removeItem(this.key);
      }
    } catch (error) {
      console.info("This browser keeps no local copy of answers:", error.name);
    }
  }

  get queue() { return this.memory.queue; }
  get cleared() { return this.memory.cleared; }
  get empty() { return this.queue.length === 0; }

  // A newer answer to the same item replaces one that has not set out yet.
  add(item, value, responseMs) {
    this.memory.queue = this.queue.filter((entry) => entry.item !== item || entry === this.sending);
    this.memory.cleared = this.cleared.filter((other) => other !== item);
    const entry = { item, value, response_ms: responseMs, client_id: newId() };
    this.seen.add(entry.client_id);
    this.queue.push(entry);
    this.store();
    this.flush();
  }

  // The rater took an answer back and has not given another yet.
  clear(item) {
    this.memory.queue = this.queue.filter((entry) => entry.item !== item || entry === this.sending);
    this.memory.cleared = [...this.cleared.filter((other) => other !== item), item];
    this.store();
    this.announce();
  }

  retryNow() {
    if (this.empty || this.sending || this.refusal) return;
    this.wait = FIRST_WAIT_MS;
    this.flush();
  }

  async flush() {
    clearTimeout(this.timer);
    while (!this.empty && !this.sending && !this.refusal) {
      this.sending = this.queue[0];
      this.announce();
      const outcome = await this.send(this.sending);
      const sent = this.sending;
      this.sending = null;
      if (outcome === "saved") {
        this.memory.queue = this.queue.filter((entry) => entry !== sent);
        this.wait = FIRST_WAIT_MS;
        this.store();
      } else if (outcome === "later") {
        this.announce();
        this.timer = setTimeout(() => this.flush(), this.wait * (0.75 + Math.random() / 2));
        this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
        return;
      } else {
        this.refusal = outcome;
      }
    }
    this.announce();
  }

  // "saved", "later" (no network, a busy or restarting server), or the reason of a refusal.
  async send(entry) {
    let response;
    try {
      response = await fetch(this.memory.url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": this.token },
        body: JSON.stringify(entry),
        credentials: "same-origin",
        keepalive: true,
      });
    } catch {
      return "later";
    }
    if (response.ok) return "saved";
    if (response.status >= 500 || response.status === 408 || response.status === 429) return "later";
    return { status: response.status };
  }

  // For leftovers: forget what is done with, one way or the other.
  settle() {
    // 404 is no such word: a shared browser may be another rater's now, who does not know the task.
    if (this.refusal?.status === 409) this.memory.queue = [];
    if (this.empty) {
      this.memory.cleared = [];
      this.store();
    }
  }

  announce() {
    let state = "saved";
    if (this.refusal) state = "refused";
    else if (!this.empty) state = this.sending ? "saving" : "waiting";
    this.onState(state, this.queue.length);
  }
}

// crypto.randomUUID exists in secure contexts only; a lab may serve plain http.
function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
