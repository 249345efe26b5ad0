// @ts-check
// Finds out whether this browser and this server can talk, and what stands between the server and a web page.
// What only that web page could try is told from what the server has heard of it.

/**
 * @typedef {"good" | "bad" | "calm"} Mood
 * @typedef {{mood: Mood, finding: string, advice?: string}} Check
 * @typedef {"chrome" | "firefox" | "safari" | "other"} Browser
 * @typedef {{state: string, message?: string}} Engine
 * @typedef {{origin: string, standing: "allowed" | "blocked" | "unknown" | "none", secondsSinceHeard: number | null}} Origin
 */

/** A browser that asks the person something holds a request up for as long. */
const PATIENCE = 10_000;
/** How often the server is asked whether it has heard of a page. */
const AGAIN = 2_000;
/** What browsers call the permission to reach programs on this computer, newest first. */
const PERMISSIONS = ["loopback-network", "local-network-access"];
const MARKS = { good: "✓", bad: "✗", calm: "·" };
const SPOKEN = { good: "Works", bad: "Does not work", calm: "Note" };

/** @param {string} name */
function element(name) {
  const found = document.getElementById(name);
  if (found === null) throw new Error(`the page has no part #${name}`);
  return found;
}

/**
 * @param {string} tag
 * @param {string} name
 * @param {string} text
 */
function make(tag, name, text) {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

/** @param {Check} check */
function shown({ mood, finding, advice }) {
  const item = make("li", `check ${mood}`, "");
  const mark = make("span", "mark", MARKS[mood]);
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", SPOKEN[mood]);
  item.append(mark, make("span", "finding", finding));
  if (advice) item.append(make("p", "advice", advice));
  return item;
}

/**
 * @param {string} name
 * @param {Check[]} checks
 */
function show(name, checks) {
  const list = element(name);
  list.replaceChildren(...checks.map(shown));
  list.hidden = false;
}

/** @returns {Browser} */
function browser() {
  const agent = navigator.userAgent;
  if (/firefox/i.test(agent)) return "firefox";
  if (/chrom(e|ium)/i.test(agent)) return "chrome";
  return /safari/i.test(agent) ? "safari" : "other";
}

/** @returns {Promise<Check>} */
async function checkHealth() {
  try {
    const answer = await fetch("/health", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.ok) return { mood: "good", finding: "This browser reaches Deskgrid" };
    const advice = `It answered with status ${answer.status}. Restart Deskgrid and load this page again.`;
    return { mood: "bad", finding: "Deskgrid answers, but not as it should", advice };
  } catch {
    const advice = "It may have been stopped. Start it, then load this page again.";
    return { mood: "bad", finding: "Deskgrid does not answer", advice };
  }
}

/** @returns {Promise<Check>} */
function checkSocket() {
  const advice =
    "Something between this browser and Deskgrid holds WebSocket connections up. Turn off proxies, VPNs and virus " +
    "scanners for localhost, and try a browser window without extensions.";
  return new Promise((resolve) => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/q/local/client`);
    /** @param {Check} check */
    const end = (check) => {
      clearTimeout(timer);
      socket.close();
      resolve(check);
    };
    /** @type {Check} */
    const failure = { mood: "bad", finding: "No socket opens", advice };
    const timer = setTimeout(() => end(failure), PATIENCE);
    socket.addEventListener("open", () => socket.send("PING"));
    socket.addEventListener("error", () => end(failure));
    socket.addEventListener("message", ({ data }) => {
      if (data === "PONG") end({ mood: "good", finding: "A socket opens and carries messages both ways" });
    });
  });
}

/** @returns {Promise<Check>} */
async function checkEngine() {
  try {
    const answer = await fetch("/q/local/status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    /** @type {{engine: Engine}} */
    const { engine } = await answer.json();
    if (engine.state === "engine-ready") {
      return { mood: "good", finding: "The container engine is ready", advice: engine.message };
    }
    return { mood: "bad", finding: "The container engine is not ready", advice: engine.message };
  } catch {
    return { mood: "calm", finding: "The state of the container engine is not known" };
  }
}

/**
 * What this browser says of its permission for pages to reach this computer, or nothing when it has none.
 * @returns {Promise<PermissionState | undefined>}
 */
async function permission() {
  for (const name of PERMISSIONS) {
    try {
      const status = await navigator.permissions.query({ name: /** @type {PermissionName} */ (name) });
      return status.state;
    } catch {
      // This browser does not know it by that name.
    }
  }
  return undefined;
}

/** @returns {Promise<Check>} */
async function checkBrowser() {
  if (browser() === "safari") {
    const advice = "Safari keeps pages that came over https from http://localhost. Use Chrome, Edge or Firefox for them.";
    return { mood: "bad", finding: "Most web pages cannot reach Deskgrid from this browser", advice };
  }
  const state = await permission();
  if (state === undefined) {
    const advice = browser() === "firefox" ? "Newer versions of Firefox ask you once for each page; see below." : undefined;
    return { mood: "good", finding: "This browser names no permission that pages need to reach Deskgrid", advice };
  }
  if (state === "denied") {
    const advice = "It was blocked for this page, perhaps for all pages. Allow it as described below.";
    return { mood: "bad", finding: "This browser blocks pages from reaching programs on this computer", advice };
  }
  const advice = "It asks you once for each web page, and remembers what you chose. Check a page below when it does not get through.";
  return { mood: "good", finding: "This browser lets web pages reach Deskgrid after you allowed them", advice };
}

/**
 * @param {Origin} about
 * @returns {Check}
 */
function invitation({ origin, standing }) {
  const allow = `run “deskgrid sites allow ${origin}” in a terminal. The page connects by itself afterwards.`;
  switch (standing) {
    case "allowed":
      return { mood: "good", finding: `Deskgrid lets pages of ${origin} run jobs` };
    case "blocked":
      return { mood: "bad", finding: `You blocked pages of ${origin}`, advice: `If you changed your mind, ${allow}` };
    case "unknown":
      return { mood: "bad", finding: `You have not allowed pages of ${origin} yet`, advice: `If you trust them, ${allow}` };
    default:
      return { mood: "bad", finding: "Pages of such an address cannot be allowed", advice: "Its address must begin with http:// or https://" };
  }
}

/**
 * @param {Origin} about
 * @returns {Check}
 */
function arrival({ origin, secondsSinceHeard }) {
  if (secondsSinceHeard !== null) {
    const advice = secondsSinceHeard < 5 ? "Just now." : `Last ${ago(secondsSinceHeard)} ago.`;
    return { mood: "good", finding: `Requests of ${origin} get through the browser to Deskgrid`, advice };
  }
  const advice = origin.startsWith("http:")
    ? "Browsers let only pages that came over https, or from this computer, reach localhost. Open the page in another tab of this browser and let it try; this line follows."
    : "Open the page in another tab of this browser and let it try; this line follows. If it stays so, the browser holds the page back: see its settings below.";
  return { mood: "bad", finding: `Nothing of ${origin} has arrived since Deskgrid was started`, advice };
}

/** @param {number} seconds */
function ago(seconds) {
  if (seconds < 90) return `${seconds} seconds`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`;
}

/**
 * The origin that a person means by an address, with or without `https://` before it.
 * @param {string} text
 */
function originOf(text) {
  const address = text.trim();
  for (const full of [address, `https://${address}`]) {
    try {
      const { origin } = new URL(full);
      if (origin !== "null") return origin;
    } catch {
      // Not an address; the next form may be one.
    }
  }
  return undefined;
}

let asked = 0;

/** @param {string} text */
async function checkPage(text) {
  asked += 1;
  const turn = asked;
  const origin = originOf(text);
  if (origin === undefined) {
    return show("page", [{ mood: "bad", finding: "This is no address of a web page", advice: "It begins with https://" }]);
  }
  let last = "";
  // The page in the other tab may get through at any time.
  while (turn === asked) {
    const checks = await pageChecks(origin);
    // Shown only when it changes: screen readers read it out.
    if (turn === asked && JSON.stringify(checks) !== last) show("page", checks);
    last = JSON.stringify(checks);
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

/**
 * @param {string} origin
 * @returns {Promise<Check[]>}
 */
async function pageChecks(origin) {
  try {
    const answer = await fetch(`/doctor/origin.json?origin=${encodeURIComponent(origin)}`, { cache: "no-store" });
    /** @type {Origin} */
    const about = await answer.json();
    return [invitation(about), arrival(about)];
  } catch {
    return [{ mood: "bad", finding: "Deskgrid does not answer", advice: "It may have been stopped." }];
  }
}

async function checkHere() {
  const waiting = [checkHealth(), checkSocket(), checkEngine(), checkBrowser()];
  /** @type {Check[]} */
  const checks = waiting.map(() => ({ mood: "calm", finding: "Trying…" }));
  show("here", checks);
  const seen = waiting.map(async (check, place) => {
    checks[place] = await check;
    show("here", checks);
  });
  await Promise.all(seen);
  element("here").dataset.done = "yes";
}

for (const details of document.querySelectorAll("details")) {
  details.open = details.dataset.browser === browser();
}

const field = /** @type {HTMLInputElement} */ (element("origin"));
element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  void checkPage(field.value);
});
const named = new URLSearchParams(location.search).get("origin");
if (named) {
  field.value = named;
  void checkPage(named);
}
void checkHere();
