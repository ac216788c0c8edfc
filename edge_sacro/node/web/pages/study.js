// One study: its image, its decision and why, where its results went, and what can be saved.

import { announce, find, make } from "./dom.js";
import { ask, askJson, hasToken, save } from "./net.js";
import { Viewer } from "./viewer.js";
import { DELIVERIES, EXPLAINED, FILES, OUTCOMES, STATES, date, sentence, size, time } from "./words.js";

const SIZE = 2048;
const LARGE = 4096;

let viewer = null;
let sequence = null;
let drawn = "";
let node = null;
let imageOf = "";
let larger = false;

export function setUpStudy() {
  viewer = new Viewer(find("canvas"), changed);
  for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => act(button.dataset.do));
  find("back").addEventListener("click", () => (location.hash = "#/"));
  find("opacity").addEventListener("input", (event) => {
    viewer.opacity = Number(event.target.value) / 100;
    if (!viewer.heat && viewer.map) act("heat");
    viewer.draw();
  });
  find("preset").addEventListener("change", (event) => viewer.view && viewer.use(choices()[Number(event.target.value)]));
}

export const actions = {
  "zoom-in": () => viewer.zoom(1.25),
  "zoom-out": () => viewer.zoom(0.8),
  fit: () => viewer.fit(),
  reset: () => {
    viewer.reset();
    find("preset").value = "0";
  },
  invert: () => viewer.invert(),
  drag: () => (viewer.dragWindows = !viewer.dragWindows),
  boxes: () => (viewer.boxes = !viewer.boxes),
  heat: () => (viewer.heat = viewer.map ? !viewer.heat : false),
  harder: () => viewer.adjust(-0.08, 0),
  softer: () => viewer.adjust(0.08, 0),
  darker: () => viewer.adjust(0, -0.05),
  brighter: () => viewer.adjust(0, 0.05),
};

export function act(name) {
  actions[name]();
  viewer.draw();
}

export const panImage = (dx, dy) => viewer.pan(dx, dy);

/** Turn to another study, or to none: at once nothing of the one before is left in sight. */
export function openStudy(number) {
  if (number === sequence) return;
  sequence = number;
  drawn = imageOf = "";
  larger = false;
  viewer.clear();
  film("Loading…");
  find("image-words").textContent = "";
  find("panel").replaceChildren(make("p", {}, "Loading…"));
}

/** Refresh the study that is open; what is known of it. */
export async function showStudy(number, status) {
  node = status ?? node;
  let detail;
  try {
    detail = await askJson(`/v1/instances/${number}`);
  } catch (problem) {
    if (number !== sequence) return null;
    if (problem.status === undefined) throw problem;
    film("");
    find("panel").replaceChildren(make("h2", { id: "study-title" }, `Number ${number}`), make("p", {}, sentence(problem.message)));
    return null;
  }
  if (number !== sequence) return null;
  const text = JSON.stringify([detail, node?.guard_band, node?.bundle?.fingerprint]);
  if (text !== drawn) {
    if (drawn && detail.outcome) announce(`Number ${number}: ${OUTCOMES[detail.outcome].title}.`);
    drawn = text;
    drawPanel(detail);
  }
  const image = `${detail.files} ${detail.outcome} ${detail.results.length}`;
  if (image !== imageOf) {
    imageOf = image;
    await loadImage(number, detail, SIZE);
  }
  return detail;
}

async function loadImage(number, detail, longest) {
  try {
    const view = await askJson(`/v1/instances/${number}/image?size=${longest}`);
    const [pixels, map] = await Promise.all([ask(view.pixels), view.heat ? ask(view.heat) : null]);
    const levels = new Uint16Array(await pixels.arrayBuffer());
    const bitmap = map ? await createImageBitmap(await map.blob()) : null;
    if (number !== sequence) return;
    film(null);
    viewer.load(view, levels, bitmap);
    find("image-words").textContent = inWords(detail, view);
    const preset = find("preset");
    preset.replaceChildren(...choices().map((each, index) => make("option", { value: index }, each.name)));
    preset.disabled = choices().length < 2;
  } catch (problem) {
    if (number !== sequence) return;
    if (problem.status === undefined) {
      imageOf = "";
      throw problem;
    }
    viewer.clear();
    film(`No image can be shown. ${sentence(problem.message)}`);
    find("image-words").textContent = "No image can be shown.";
  }
}

function choices() {
  const { windows, fallback } = viewer.view;
  const files = windows.map((each, index) => ({ ...each, name: windows.length > 1 ? `Window ${index + 1}` : "File window" }));
  return [...files, { ...fallback, name: "Whole range" }];
}

function film(text) {
  find("film-message").hidden = text === null;
  find("film-message").textContent = text ?? "";
}

function changed() {
  const view = viewer.view;
  const pressed = { invert: viewer.inverted, boxes: viewer.boxes, heat: viewer.heat && viewer.map, drag: viewer.dragWindows };
  for (const button of document.querySelectorAll("[data-do]")) {
    const name = button.dataset.do;
    button.disabled = !view || (name === "heat" && !viewer.map);
    if (name in pressed) button.setAttribute("aria-pressed", String(Boolean(pressed[name])));
  }
  const drag = document.querySelector('[data-do="drag"]');
  drag.textContent = viewer.dragWindows ? "Drag: window" : "Drag: move";
  find("opacity").disabled = !view || !viewer.map;
  find("heat-words").hidden = !(view && viewer.heat && viewer.map);
  find("readout").textContent = view
    ? `Window ${Math.round(viewer.window.width)} · level ${Math.round(viewer.window.center)} · zoom ${Math.round(viewer.scale * view.scale * 100)} %`
    : "";
  const stored = view ? Math.max(view.rows, view.columns) / view.scale : 0;
  const dense = globalThis.devicePixelRatio || 1;
  if (view && !larger && view.scale < 1 && viewer.scale * dense > 1.2 && stored > SIZE) {
    larger = true;
    loadImage(sequence, JSON.parse(drawn)[0], LARGE).catch(() => {});
  }
}

function inWords(detail, view) {
  const joints = ["right", "left"].filter((side) => view.joints[side]);
  const found = joints.length ? `Boxes mark the patient's ${joints.join(" and ")} sacroiliac joint.` : "No joint is marked.";
  return `Radiograph number ${detail.sequence}, the patient's right at the left of the image. ${found}`;
}

function drawPanel(detail) {
  const result = detail.result;
  const focus = document.activeElement?.id;
  find("panel").replaceChildren(
    ...[
      heading(detail),
      decision(detail),
      result && result.state !== "refused" ? joints(result) : null,
      result?.notes.length ? section("Notes", make("ul", {}, ...result.notes.map((note) => make("li", {}, sentence(note))))) : null,
      sent(detail),
      files(detail),
      facts(detail),
    ].filter((each) => each !== null),
  );
  if (focus === "again") find("again")?.focus();
}

function section(title, ...content) {
  return make("section", {}, make("h3", {}, title), ...content);
}

function heading(detail) {
  const patient = detail.patient;
  const name = patient?.name ?? (patient ? "No name" : detail.files ? "Header unreadable" : "Files removed");
  const parts = [
    `Number ${detail.sequence}`,
    patient?.id ? `ID ${patient.id}` : null,
    patient?.birth_date ? `born ${date(patient.birth_date)}` : null,
    patient?.study_date ? `taken ${date(patient.study_date)}` : null,
    patient?.accession_number ? `accession ${patient.accession_number}` : null,
  ];
  return make(
    "div",
    {},
    make("h2", { id: "study-title" }, name),
    make("p", { class: "who" }, parts.filter(Boolean).join(" · ")),
    detail.conflict ? make("p", { class: "attention" }, "⚠ Another file has the same UID and other content. Both are kept.") : null,
  );
}

function decision(detail) {
  const { state, outcome, reason, result } = detail;
  const open = state === "received" || state === "assessing";
  if (open || state === "quarantined") return unfinished(detail);
  const words = OUTCOMES[outcome];
  return make(
    "section",
    { class: `decision ${outcome}`, "aria-label": "Decision" },
    make("p", { class: `mark ${outcome}`, "data-shape": words.shape }, words.title),
    reason ? make("p", {}, sentence(reason)) : null,
    result && result.probability !== null ? probability(detail) : null,
    EXPLAINED[outcome] ? make("p", { class: "plain" }, EXPLAINED[outcome]) : null,
    result?.remedy ? make("p", { class: "plain" }, sentence(result.remedy)) : null,
    result?.high_risk ? make("p", { class: "plain" }, "Above 0.7: a confident prediction by the publication's own rule.") : null,
  );
}

function unfinished(detail) {
  const aside = detail.state === "quarantined";
  const title = aside ? "Set aside: needs attention" : `${STATES[detail.state]}: no result yet`;
  return make(
    "section",
    { class: `decision ${aside ? "attention" : "none"}`, "aria-label": "Decision" },
    make("p", { class: "mark", "data-shape": aside ? "⚠" : "…" }, title),
    detail.reason ? make("p", {}, sentence(detail.reason)) : null,
    make("p", { class: "plain" }, EXPLAINED[detail.state]),
    aside && detail.outcome ? make("p", { class: "plain" }, `It was assessed before: ${OUTCOMES[detail.outcome].title}.`) : null,
    aside ? make("p", {}, make("button", { type: "button", id: "again", onclick: () => again(detail.sequence) }, "Try again")) : null,
  );
}

async function again(number) {
  find("again").disabled = true;
  try {
    await ask(`/v1/instances/${number}/requeue`, { method: "POST" });
    announce(`Number ${number} will be tried again.`);
  } catch (problem) {
    announce(sentence(problem.message));
  }
  await showStudy(number).catch(() => {});
}

function probability(detail) {
  const { probability: value, operating_point: point } = detail.result;
  const band = node && detail.bundle && node.bundle?.fingerprint === detail.bundle.fingerprint ? node.guard_band : null;
  const bar = make("div", { class: `scale ${detail.outcome}`, role: "img", "aria-label": `Probability ${value}, cut-off ${point.threshold}` });
  const part = (name, from, to) => {
    const element = make("span", { class: name });
    element.style.setProperty("left", `${100 * from}%`);
    if (to !== null) element.style.setProperty("width", `${100 * (to - from)}%`);
    return element;
  };
  bar.append(part("value", 0, value));
  if (band) bar.append(part("band", Math.max(point.threshold - band, 0), Math.min(point.threshold + band, 1)));
  bar.append(part("cut", point.threshold, null));
  const words = [`Probability ${value}`, `cut-off ${point.threshold} (${point.name})`];
  if (band) words.push(`borderline within ${band} of it`);
  return make(
    "div",
    {},
    bar,
    make("p", { class: "scale-ends", "aria-hidden": "true" }, make("span", {}, "0"), make("span", {}, "1")),
    make("p", { class: "plain" }, `${words.join("; ")}.`),
  );
}

function joints(result) {
  const rows = ["right", "left"].map((side) => {
    const joint = result.joints[side];
    const words = joint.state === "located" ? "Found" : (OUTCOMES[joint.state]?.word ?? joint.state);
    const shape = joint.state === "located" ? "✓" : OUTCOMES[joint.state]?.shape;
    const value = joint.probability === null ? "" : ` (${joint.probability})`;
    return make(
      "tr",
      {},
      make("th", { scope: "row", class: `side-${side}` }, side === "left" ? "Left" : "Right"),
      make("td", {}, make("span", { class: "mark", "data-shape": shape }, words + value), joint.reason ? make("span", { class: "under" }, sentence(joint.reason)) : null),
    );
  });
  return section("Joints, sides of the patient", make("table", {}, make("tbody", {}, ...rows)));
}

function sent(detail) {
  if (!detail.deliveries.length) {
    const words = detail.state === "delivered" || detail.state === "refused" ? "Nothing had to be sent." : null;
    return words ? section("Sent to", make("p", { class: "who" }, words)) : null;
  }
  const rows = detail.deliveries.map((each) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, each.destination),
      make("td", {}, each.object),
      make(
        "td",
        { class: each.state === "rejected" ? "attention" : null },
        DELIVERIES[each.state],
        each.attempts > 1 ? ` (attempt ${each.attempts})` : "",
        each.error ? make("span", { class: "under" }, sentence(each.error)) : null,
      ),
    ),
  );
  return section("Sent to", make("table", {}, make("tbody", {}, ...rows)));
}

function files(detail) {
  if (!detail.results.length) return null;
  const items = detail.results.map((each) => {
    const name = `${detail.sequence}-${each.name}`;
    const take = (event) => {
      if (!hasToken()) return;
      event.preventDefault();
      save(each.href, name).catch((problem) => announce(sentence(problem.message)));
    };
    return make("li", {}, make("a", { href: each.href, download: name, onclick: take }, FILES[each.name] ?? each.name), " ", make("span", {}, size(each.size)));
  });
  return section("Save", make("ul", { class: "files" }, ...items));
}

function facts(detail) {
  const { bundle, result } = detail;
  const pairs = [
    ["Received", `${time(detail.received_at)} from ${detail.peer} (${detail.via === "dimse" ? "DICOM" : "HTTP"})`],
    detail.finished_at ? ["Ended", time(detail.finished_at)] : null,
    ["Progress", STATES[detail.state]],
    detail.times_received > 1 ? ["Sent to us", `${detail.times_received} times`] : null,
    bundle ? ["Bundle", `${bundle.name} ${bundle.version}${bundle.demonstration ? " (demonstration)" : ""}`] : null,
    bundle ? ["Statement", bundle.statement] : null,
    result ? ["System", result.system] : null,
    result ? ["Computed by", `${result.backend.name} ${result.backend.version}, ${result.backend.precision}`] : null,
    result ? ["Took", `${Math.round(result.timings_ms.total ?? 0)} ms`] : null,
    detail.reason_code ? ["Code", detail.reason_code] : null,
  ];
  const list = pairs.filter(Boolean).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  return section("About this result", make("dl", { class: "facts" }, ...list));
}
