// The page as a whole: which part is shown, what is refreshed, keys, health, token.

import { announce, find, make } from "./dom.js";
import { askJson, onLogin } from "./net.js";
import { act, openStudy, panImage, setUpStudy, showStudy } from "./study.js";
import { focusWorklist, moveInWorklist, neighbour, refreshWorklist, setUpWorklist, showCounts } from "./worklist.js";
import { size, time } from "./words.js";

const EVERY_MS = 2000;
const PAN = 60;

let study = null;
let detail = null;
let status = null;
let silentSince = null;
let running = false;
let routes = 0;

function route() {
  routes += 1;
  const mine = routes;
  const found = /^#\/(\d{1,15})$/.exec(location.hash);
  const before = study;
  study = found ? Number(found[1]) : null;
  detail = null;
  openStudy(study);
  find("worklist").hidden = study !== null;
  find("study").hidden = study === null;
  document.title = study === null ? "Edge-Sacro: worklist" : `Edge-Sacro: number ${study}`;
  refresh().then(() => {
    if (mine !== routes) return;
    if (study === null && before !== null) focusWorklist(before);
    else if (study !== null && document.activeElement === document.body) find("study").focus();
  });
}

async function refresh() {
  if (running) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return refresh();
  }
  running = true;
  try {
    status = await askJson("/v1/node");
    showHealth();
    showCounts(status.counts);
    if (study === null) await refreshWorklist();
    else detail = await showStudy(study, status);
    if (study !== null && neighbour(study, 0) === null) await refreshWorklist();
    showDemonstration();
    silentSince = null;
  } catch (problem) {
    silentSince ??= new Date();
    console.warn("the node did not answer", problem.name);
  } finally {
    running = false;
    const lost = find("lost");
    lost.hidden = silentSince === null;
    if (silentSince) {
      const text = `The node has not answered since ${time(silentSince.toISOString())}. What is shown may be old.`;
      if (lost.textContent !== text) lost.textContent = text;
    }
  }
}

function showHealth() {
  const aside = status.counts.quarantined;
  const items = [
    item(status.ready ? "✓ Ready" : `✕ Not ready: ${status.problems.join(" ")}`, !status.ready),
    item(["Waiting ", make("b", {}, `${status.counts.received + status.counts.assessing}`)]),
    item([aside ? "⚠ Set aside " : "Set aside ", make("b", {}, String(aside))], aside > 0),
    item(["Disk free ", make("b", {}, size(status.disk_free_bytes))], status.disk_free_bytes < 2 * status.disk_reserve_bytes),
    ...status.destinations.map(({ name, outstanding, error }) =>
      item([error ? "⚠ " : "", `To ${name} `, make("b", {}, `${outstanding} to send`), error ? `, ${error}` : ""], Boolean(error)),
    ),
    status.bundle && !status.bundle.demonstration ? item(["Bundle ", make("b", {}, `${status.bundle.name} ${status.bundle.version}`)]) : null,
  ].filter(Boolean);
  const list = find("health");
  const text = items.map((each) => each.outerHTML).join();
  if (list.dataset.text !== text) {
    list.dataset.text = text;
    list.replaceChildren(...items);
  }
}

function item(content, bad = false) {
  return make("li", { class: bad ? "bad" : null }, ...[content].flat());
}

/** Always in sight where the bundle that serves, or the one that made the open result, is a demonstration. */
function showDemonstration() {
  const bundle = [detail?.bundle, status.bundle].find((each) => each?.demonstration);
  const place = find("demonstration");
  place.hidden = !bundle;
  const text = bundle ? `DEMONSTRATION · bundle ${bundle.name} ${bundle.version} · ${bundle.statement}` : "";
  if (place.textContent !== text) place.textContent = text;
}

const STUDY_KEYS = {
  "+": () => act("zoom-in"),
  "=": () => act("zoom-in"),
  "-": () => act("zoom-out"),
  0: () => act("fit"),
  "[": () => act("harder"),
  "]": () => act("softer"),
  ",": () => act("darker"),
  ".": () => act("brighter"),
  i: () => act("invert"),
  r: () => act("reset"),
  w: () => act("drag"),
  b: () => act("boxes"),
  g: () => act("heat"),
  n: () => step(1),
  p: () => step(-1),
  Escape: () => (location.hash = "#/"),
  ArrowLeft: () => panImage(PAN, 0),
  ArrowRight: () => panImage(-PAN, 0),
  ArrowUp: () => panImage(0, PAN),
  ArrowDown: () => panImage(0, -PAN),
};
const LIST_KEYS = {
  j: () => moveInWorklist(1),
  k: () => moveInWorklist(-1),
  ArrowDown: () => moveInWorklist(1),
  ArrowUp: () => moveInWorklist(-1),
};

function step(by) {
  const to = neighbour(study, by);
  if (to === null) announce(by > 0 ? "There is no older one in the list." : "There is no newer one in the list.");
  else location.hash = `#/${to}`;
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const { target } = event;
  if (event.key === "?") {
    find("help").showModal();
    event.preventDefault();
    return;
  }
  const typing = target.matches("input, select, textarea");
  if (typing && event.key !== "Escape") return;
  if (event.key.startsWith("Arrow") && study !== null && target.closest("#panel")) return;
  const todo = (study === null ? LIST_KEYS : STUDY_KEYS)[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!todo) return;
  todo();
  event.preventDefault();
}

/** Ask a person for the token; the request that needs it waits. */
function askToken(wrong) {
  const dialog = find("login");
  find("login-wrong").hidden = !wrong;
  find("token").value = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    find("login-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        dialog.close();
        resolve(find("token").value.trim());
      },
      { once: true },
    );
  });
}

setUpWorklist();
setUpStudy();
onLogin(askToken);
find("login").addEventListener("cancel", (event) => event.preventDefault());
find("help-open").addEventListener("click", () => find("help").showModal());
find("help-close").addEventListener("click", () => find("help").close());
document.addEventListener("keydown", key);
globalThis.addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => document.hidden || running || refresh());
setInterval(() => document.hidden || running || refresh(), EVERY_MS);
route();
