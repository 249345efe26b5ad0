// @ts-check
// The page of one job: asks the server that it came from for the job, and follows it until it is over.
// Whatever a job says is shown as text, never as markup.

/**
 * @typedef {[text: string, time: number, isError?: boolean]} Line
 * @typedef {{StatusCode?: number, duration?: number, error?: string, isTimedOut: boolean, logs: Line[],
 *   outputs: Record<string, unknown>}} Result
 * @typedef {{state: string, finishedReason?: string, queuedTime: number, time: number, worker: string,
 *   namespaces: string[], finished?: {result?: Result}}} Job
 * @typedef {{image?: string, build?: unknown, command?: string | string[], entrypoint?: string | string[],
 *   inputs?: Record<string, unknown>, configFiles?: Record<string, unknown>}} Definition
 * @typedef {{words: string, mood: "calm" | "busy" | "good" | "bad"}} Verdict
 */

/** Lines that are kept on the page; the whole log has an address of its own. */
const MOST_LINES = 5000;

/** Names of files that browsers show as pictures. */
const PICTURE = /\.(png|jpe?g|gif|webp|avif|svg|bmp)$/i;

/** Colours and cursor moves, which terminals act upon and pages do not. */
const TERMINAL_CODES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-_])/g;

/** The job's address on this server, without a slash at its end. */
const base = location.pathname.replace(/\/+$/, "");
const parts = base.split("/");
const id = decodeURIComponent(parts[parts.length - 1]);
const queue = parts[1] === "q" ? parts[2] : "local";

/** @param {string} name */
function element(name) {
  const found = document.getElementById(name);
  if (found === null) throw new Error(`the page has no part #${name}`);
  return found;
}

/**
 * @param {HTMLElement} parent
 * @param {string} selector
 */
function inside(parent, selector) {
  const found = parent.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no part ${selector}`);
  return found;
}

/**
 * @param {string} tag
 * @param {string} text
 */
function make(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

/**
 * A log that grows at its end and follows it, unless the reader has scrolled away.
 */
class Log {
  /**
   * @param {string} name
   * @param {string} address of the whole log
   */
  constructor(name, address) {
    this.section = element(name);
    this.box = inside(this.section, ".log");
    this.more = inside(this.section, ".more");
    this.address = address;
    /** @type {Line[]} */
    this.waiting = [];
    this.left = 0;
  }

  clear() {
    this.waiting = [];
    this.left = 0;
    this.box.replaceChildren();
    this.more.hidden = true;
  }

  /** @param {Line[]} lines */
  add(lines) {
    if (lines.length === 0) return;
    if (this.waiting.length === 0) requestAnimationFrame(() => this.draw());
    this.waiting = this.waiting.concat(lines);
    const tooMany = this.waiting.length - MOST_LINES;
    if (tooMany > 0) {
      this.left += tooMany;
      this.waiting = this.waiting.slice(tooMany);
    }
  }

  draw() {
    const box = this.box;
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    box.append(...this.waiting.map(shownLine));
    this.waiting = [];
    while (box.childElementCount > MOST_LINES && box.firstElementChild) {
      box.firstElementChild.remove();
      this.left += 1;
    }
    this.section.hidden = false;
    this.showMore();
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }

  showMore() {
    if (this.left === 0) return;
    const link = make("a", "the whole log");
    link.setAttribute("href", this.address);
    this.more.replaceChildren(`${this.left.toLocaleString()} earlier lines are in `, link, ".");
    this.more.hidden = false;
  }
}

/** @param {Line} line */
function shownLine([text, , isError]) {
  // What was overwritten on the same line, as progress bars do, is left out.
  const plain = text.replace(/\r?\n$/, "").replace(TERMINAL_CODES, "").replace(/\r+$/, "");
  const line = make("div", plain.slice(plain.lastIndexOf("\r") + 1));
  line.className = isError ? "line error" : "line";
  return line;
}

/**
 * @param {string} state
 * @param {string | undefined} reason
 * @param {number | undefined} exitCode
 * @returns {Verdict}
 */
function verdict(state, reason, exitCode) {
  if (state === "Queued") return { words: "Waiting for its turn", mood: "calm" };
  if (state === "Running") return { words: "Running", mood: "busy" };
  switch (reason) {
    case "Success":
      return exitCode ? { words: `Ended with exit code ${exitCode}`, mood: "bad" } : { words: "Finished", mood: "good" };
    case "Error":
      return { words: "Could not run", mood: "bad" };
    case "TimedOut":
      return { words: "Stopped, its time was up", mood: "bad" };
    case "JobReplacedByClient":
      return { words: "Replaced by a newer job", mood: "calm" };
    default:
      return { words: reason ?? state, mood: "calm" };
  }
}

/** @param {Verdict} shown */
function showState({ words, mood }) {
  const state = element("state");
  // Set only when it changes: screen readers read it out.
  if (state.textContent !== words) state.textContent = words;
  state.className = `state ${mood}`;
  document.title = `${words} · ${element("image").textContent} · Deskgrid`;
}

/**
 * @param {string} words
 * @param {boolean} isBad
 */
function notice(words, isBad) {
  const box = element("notice");
  box.textContent = words;
  box.classList.toggle("bad", isBad);
  box.hidden = words === "";
}

/** @param {number} milliseconds */
function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

/** @param {number} time */
function moment(time) {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** @param {Job} job */
function showFacts(job) {
  const result = job.finished?.result;
  /** @type {[string, string][]} */
  const facts = [["Queued", moment(job.queuedTime)]];
  if (job.state === "Running") facts.push(["Started", moment(job.time)]);
  if (job.state === "Finished") facts.push(["Ended", moment(job.time)]);
  if (result?.duration !== undefined) facts.push(["Ran for", duration(result.duration)]);
  if (result?.StatusCode !== undefined) facts.push(["Exit code", String(result.StatusCode)]);
  if (job.worker !== "") facts.push(["Worker", job.worker]);
  const names = job.namespaces.filter((name) => name !== "_");
  if (names.length > 0) facts.push(["Wanted by", names.join(", ")]);
  const shown = facts.map(([name, value]) => {
    const pair = document.createElement("div");
    pair.append(make("dt", name), make("dd", value));
    return pair;
  });
  element("facts").replaceChildren(...shown);
  element("facts").hidden = false;
}

/**
 * @param {string} name
 * @param {string[]} paths
 */
function showFiles(name, paths) {
  const shown = paths.map((path) => {
    const address = `${base}/${name}/${path.split("/").map(encodeURIComponent).join("/")}`;
    const link = make("a", path);
    link.setAttribute("href", address);
    const item = document.createElement("li");
    item.append(link);
    if (PICTURE.test(path)) item.append(picture(address, path));
    return item;
  });
  const section = element(name);
  inside(section, ".files").replaceChildren(...shown);
  section.hidden = paths.length === 0;
}

/**
 * @param {string} address
 * @param {string} path
 */
function picture(address, path) {
  const image = document.createElement("img");
  image.src = address;
  image.alt = path;
  image.loading = "lazy";
  // A file that only calls itself a picture stays a link.
  image.addEventListener("error", () => image.remove());
  return image;
}

/** @param {string | string[] | undefined} command */
function words(command) {
  return Array.isArray(command) ? command.join(" ") : (command ?? "");
}

/** @param {Definition} definition */
function showDefinition(definition) {
  element("image").textContent = definition.image ?? (definition.build ? "Image built for this job" : "Job");
  const command = [words(definition.entrypoint), words(definition.command)].filter((part) => part !== "").join(" ");
  element("command").textContent = command;
  element("command").hidden = command === "";
  const configs = Object.keys(definition.configFiles ?? {}).filter((path) => !path.startsWith("/"));
  showFiles("inputs", [...new Set([...Object.keys(definition.inputs ?? {}), ...configs])].sort());
  inside(element("definition"), ".json").textContent = JSON.stringify(definition, null, 2);
  element("definition").hidden = false;
}

/** @param {Job} job */
function showEnd(job) {
  const result = job.finished?.result;
  showState(verdict(job.state, job.finishedReason, result?.StatusCode));
  showFacts(job);
  notice(result?.error ?? "", true);
  showFiles("outputs", Object.keys(result?.outputs ?? {}).sort());
}

const buildLog = new Log("build-log", `${base}/build-logs.json`);
const runLog = new Log("run-log", `${base}/run-logs.json`);

/**
 * @param {string} address
 * @returns {Promise<any>} the answer's `data`, or nothing where there is none
 */
async function ask(address) {
  const response = await fetch(address, { headers: { Accept: "application/json" } });
  if (response.status === 404) return undefined;
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `the server answered ${response.status}`);
  return answer.data;
}

/** Times and namespaces of a job that is not over are in its queue's list only. */
async function showRecord() {
  /** @type {Record<string, Job> | undefined} */
  const jobs = await ask(`/q/${queue}`);
  const job = jobs?.[id];
  if (job && job.state !== "Finished") showFacts(job);
}

function follow() {
  const stream = new EventSource(`${base}/stream`);
  /**
   * @param {string} name
   * @param {(data: any) => void} act
   */
  const on = (name, act) =>
    stream.addEventListener(name, (event) => act(JSON.parse(/** @type {MessageEvent} */ (event).data)));
  stream.addEventListener("open", () => {
    // Each connection tells the whole story again.
    buildLog.clear();
    runLog.clear();
    notice("", false);
  });
  stream.addEventListener("error", () => notice("The connection to Deskgrid is lost. Trying again.", false));
  on("build-log", ({ lines }) => buildLog.add(lines));
  on("run-log", ({ lines }) => runLog.add(lines));
  on("state", ({ state, reason }) => {
    showState(verdict(state, reason, undefined));
    if (state !== "Finished") showRecord().catch(tell);
  });
  on("final", () => {
    stream.close();
    load(false).catch(tell);
  });
}

/** @param {unknown} error */
function tell(error) {
  notice(`The job could not be read: ${error instanceof Error ? error.message : error}`, true);
}

/**
 * Shows what the server knows of the job, and follows it if it is not over.
 * @param {boolean} isFirst whether the logs are not on the page yet
 */
async function load(isFirst) {
  /** @type {{definition: Definition, results?: Job} | undefined} */
  const job = await ask(`${base}.json?secrets=masked`);
  if (job === undefined) {
    showState({ words: "Unknown", mood: "calm" });
    notice("Deskgrid knows no job of this name. It may have been deleted, or run on another computer.", false);
    return;
  }
  showDefinition(job.definition);
  if (job.results) {
    showEnd(job.results);
    if (isFirst) await showLogs(job.results);
  } else if (isFirst) {
    follow();
  }
}

/** @param {Job} job */
async function showLogs(job) {
  runLog.add(job.finished?.result?.logs ?? []);
  buildLog.add((await ask(`${base}/build-logs.json`)) ?? []);
}

element("id").textContent = id;
load(true).catch(tell);
