// The worklist: newest first, refreshed while it is looked at, the same line staying in focus.

import { announce, find, make } from "./dom.js";
import { askJson } from "./net.js";
import { OUTCOMES, STATES, sentence, time } from "./words.js";

const PAGE = 50;

let state = null;
let before = null;
let next = null;
let shown = new Map();
let known = null;
let current = null;

export function setUpWorklist() {
  const filters = [[null, "All"], ...Object.entries(STATES)];
  find("filters").replaceChildren(
    ...filters.map(([value, word]) =>
      make("button", { type: "button", "data-state": value ?? "", "aria-pressed": String(value === state), onclick: () => choose(value) }, word),
    ),
  );
  find("older").addEventListener("click", () => turn(next));
  find("newer").addEventListener("click", () => turn(null));
  find("rows").addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row && !event.target.closest("a")) location.hash = `#/${row.dataset.sequence}`;
  });
  find("rows").addEventListener("focusin", (event) => mark(event.target.closest("tr")));
}

/** Numbers beside the filters, of everything in the queue. */
export function showCounts(counts) {
  for (const button of find("filters").children) {
    const value = button.dataset.state;
    const number = value ? counts[value] : Object.values(counts).reduce((sum, each) => sum + each, 0);
    const word = value ? STATES[value] : "All";
    const text = `${word} (${number})`;
    if (button.textContent !== text) button.textContent = text;
    button.classList.toggle("attention", value === "quarantined" && number > 0);
  }
}

export async function refreshWorklist() {
  const query = new URLSearchParams({ limit: String(PAGE) });
  if (state) query.set("state", state);
  if (before) query.set("before", String(before));
  const asked = `${state} ${before}`;
  const page = await askJson(`/v1/instances?${query}`);
  if (asked !== `${state} ${before}`) return;
  next = page.next;
  tell(page.instances);
  draw(page.instances);
  find("older").hidden = next === null;
  find("newer").hidden = before === null;
  const empty = find("empty");
  empty.hidden = page.instances.length > 0;
  empty.textContent = state ? `Nothing is in the state “${STATES[state]}”.` : "No radiograph has been received yet.";
}

/** The line that has the focus, or had it last; or the first one. */
export function focusWorklist(sequence = current) {
  const row = shown.get(Number(sequence))?.row ?? find("rows").firstElementChild;
  row?.querySelector("a").focus();
}

export function moveInWorklist(step) {
  const rows = [...find("rows").children];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const to = at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1);
  rows[to].querySelector("a").focus();
}

/** The number of the next older (1) or newer (-1) study of the list that is shown. */
export function neighbour(sequence, step) {
  const order = [...shown.keys()].sort((a, b) => b - a);
  const at = order.indexOf(sequence);
  return at < 0 ? null : (order[at + step] ?? null);
}

function choose(value) {
  state = value;
  for (const button of find("filters").children) button.setAttribute("aria-pressed", String((button.dataset.state || null) === state));
  turn(null);
}

function turn(to) {
  before = to;
  known = null;
  refreshWorklist().catch(() => {});
}

function mark(row) {
  for (const each of find("rows").children) each.classList.toggle("current", each === row);
  if (row) current = Number(row.dataset.sequence);
}

function tell(instances) {
  const now = new Map(instances.map((each) => [each.sequence, each.outcome]));
  if (known) {
    const words = [];
    for (const [sequence, outcome] of now) {
      if (!known.has(sequence)) words.push(`Number ${sequence} was received.`);
      else if (outcome && known.get(sequence) !== outcome) words.push(`Number ${sequence}: ${OUTCOMES[outcome].word}.`);
    }
    if (words.length) announce(words.slice(0, 3).join(" "));
  }
  known = now;
}

function draw(instances) {
  const body = find("rows");
  const kept = new Map();
  const focused = body.contains(document.activeElement) ? Number(document.activeElement.closest("tr").dataset.sequence) : null;
  for (const instance of instances) {
    const text = JSON.stringify(instance);
    const old = shown.get(instance.sequence);
    kept.set(instance.sequence, old && old.text === text ? old : { text, row: row(instance) });
  }
  shown = kept;
  const rows = [...kept.values()].map((each) => each.row);
  const same = rows.length === body.children.length && rows.every((each, index) => body.children[index] === each);
  if (same) return;
  body.replaceChildren(...rows);
  mark(kept.get(current)?.row ?? null);
  if (focused !== null) kept.get(focused)?.row.querySelector("a").focus();
}

function row(instance) {
  const patient = instance.patient;
  const name = patient?.name ?? (patient ? "No name" : instance.files ? "Header unreadable" : "Files removed");
  const outcome = instance.state === "received" || instance.state === "assessing" ? null : instance.outcome;
  return make(
    "tr",
    { "data-sequence": instance.sequence },
    make("td", { class: "number" }, make("a", { href: `#/${instance.sequence}`, "aria-label": `Open number ${instance.sequence}, ${name}` }, String(instance.sequence))),
    make("td", { class: "time" }, make("time", { datetime: instance.received_at }, time(instance.received_at))),
    make("td", {}, name, patient?.id ? make("span", { class: "under" }, patient.id) : null, instance.conflict ? make("span", { class: "under attention" }, "⚠ same UID, other content") : null),
    make("td", {}, instance.state === "quarantined" ? make("span", { class: "none" }, "No result") : outcomeMark(outcome)),
    make("td", { class: "why" }, instance.reason ? sentence(instance.reason) : ""),
    make("td", { class: instance.state === "quarantined" ? "mark attention" : null, "data-shape": instance.state === "quarantined" ? "⚠" : null }, STATES[instance.state]),
    make("td", {}, ...instance.destinations.map(destination)),
  );
}

export function outcomeMark(outcome) {
  if (!outcome) return make("span", { class: "none" }, "No result yet");
  return make("span", { class: `mark ${outcome}`, "data-shape": OUTCOMES[outcome].shape }, OUTCOMES[outcome].word);
}

function destination({ name, outstanding, rejected }) {
  if (rejected) return make("span", { class: "under attention" }, `✕ ${name}: refused ${rejected}`);
  if (outstanding) return make("span", { class: "under" }, `… ${name}: ${outstanding} to send`);
  return make("span", { class: "under" }, `✓ ${name}`);
}
