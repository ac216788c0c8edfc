// The radiograph on a canvas: 16-bit values windowed here, zoom, pan, boxes and heat map over it.

const LEFT = "#eeb02a";
const RIGHT = "#7cc5f0";
const CLOSEST = 16;

export class Viewer {
  /** change: called with the viewer after every change of what is shown. */
  constructor(canvas, change) {
    this.canvas = canvas;
    this.change = change;
    this.context = canvas.getContext("2d", { alpha: false });
    this.boxes = true;
    this.heat = false;
    this.opacity = 0.6;
    this.dragWindows = false;
    this.clear();
    this.pointers = new Map();
    this.pending = false;
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.up(event));
    canvas.addEventListener("dblclick", () => this.fit());
  }

  /** Show nothing. */
  clear() {
    this.view = null;
    this.levels = null;
    this.picture = null;
    this.map = null;
    this.draw();
  }

  /** Show a radiograph: how to draw it, its levels (Uint16Array), and the heat map (ImageBitmap or null). */
  load(view, levels, map) {
    const fitted = this.view === null || this.fitted;
    const old = this.view;
    this.view = view;
    this.levels = levels;
    this.map = map;
    this.picture = document.createElement("canvas");
    this.picture.width = view.columns;
    this.picture.height = view.rows;
    this.pixels = new ImageData(view.columns, view.rows);
    if (!old) {
      this.inverted = false;
      this.use(view.windows[0] ?? view.fallback);
      this.fit();
    } else {
      const ratio = old.columns / view.columns;
      this.scale *= ratio;
      this.map = map ?? this.map;
      this.paint();
      if (fitted) this.fit();
    }
  }

  /** Replace the heat map alone. */
  setMap(map) {
    this.map = map;
    this.draw();
  }

  use(window) {
    this.window = { ...window };
    this.paint();
  }

  reset() {
    this.inverted = false;
    if (this.view) this.use(this.view.windows[0] ?? this.view.fallback);
  }

  invert() {
    this.inverted = !this.inverted;
    this.paint();
  }

  /** Contrast and brightness by parts of the window: width times (1 + wide), center moved by bright times the width. */
  adjust(wide, bright) {
    if (!this.view) return;
    const { slope } = this.view;
    const sense = this.view.inverted === this.inverted ? 1 : -1;
    const least = Math.max(slope, 1e-9) * 2;
    const width = Math.max(this.window.width * (1 + wide), least);
    this.window = { ...this.window, width, center: this.window.center - sense * bright * this.window.width };
    this.paint();
  }

  get fitScale() {
    return Math.min(this.width / this.view.columns, this.height / this.view.rows);
  }

  fit() {
    if (!this.view || !this.width) return;
    this.scale = this.fitScale;
    this.x = (this.width - this.view.columns * this.scale) / 2;
    this.y = (this.height - this.view.rows * this.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  /** Zoom by a factor about a point of the canvas, its middle by default. */
  zoom(factor, at = { x: this.width / 2, y: this.height / 2 }) {
    if (!this.view) return;
    const scale = Math.min(Math.max(this.scale * factor, this.fitScale / 2), CLOSEST / this.view.scale);
    const ratio = scale / this.scale;
    this.x = at.x - (at.x - this.x) * ratio;
    this.y = at.y - (at.y - this.y) * ratio;
    this.scale = scale;
    this.fitted = false;
    this.keep();
    this.draw();
  }

  pan(dx, dy) {
    if (!this.view) return;
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.keep();
    this.draw();
  }

  /** Some of the image always stays in sight. */
  keep() {
    const margin = 60;
    this.x = Math.min(Math.max(this.x, margin - this.view.columns * this.scale), this.width - margin);
    this.y = Math.min(Math.max(this.y, margin - this.view.rows * this.scale), this.height - margin);
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const dense = globalThis.devicePixelRatio || 1;
    const moved = { x: (box.width - (this.width ?? box.width)) / 2, y: (box.height - (this.height ?? box.height)) / 2 };
    this.width = box.width;
    this.height = box.height;
    this.canvas.width = Math.round(box.width * dense);
    this.canvas.height = Math.round(box.height * dense);
    if (this.view && (this.fitted || this.scale === undefined)) this.fit();
    else if (this.view) this.pan(moved.x, moved.y);
    this.draw();
  }

  /** Window the levels into the picture: one table over every level, as PS3.3 C.11.2 has its functions. */
  paint() {
    if (!this.view) return;
    const { slope, intercept, inverted } = this.view;
    const { center, width } = this.window;
    const dark = inverted !== this.inverted;
    const table = new Uint32Array(65536);
    for (let level = 0; level < 65536; level += 1) {
      const part = fraction(slope * level + intercept, center, width, this.window.function);
      const gray = Math.floor(255 * (dark ? 1 - part : part) + 1e-9);
      table[level] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
    }
    const out = new Uint32Array(this.pixels.data.buffer);
    const levels = this.levels;
    for (let index = 0; index < out.length; index += 1) out[index] = table[levels[index]];
    this.picture.getContext("2d").putImageData(this.pixels, 0, 0);
    this.draw();
  }

  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.drawNow();
      this.change(this);
    });
  }

  drawNow() {
    const dense = globalThis.devicePixelRatio || 1;
    const context = this.context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.view || !this.picture || this.scale === undefined) return;
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.imageSmoothingEnabled = this.scale * dense < 4;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.picture, this.x, this.y, this.view.columns * this.scale, this.view.rows * this.scale);
    context.imageSmoothingEnabled = true;
    if (this.heat && this.map) {
      const [x, y, w, h] = this.place(this.view.crop ?? [0, 0, this.view.columns, this.view.rows]);
      context.globalAlpha = this.opacity;
      context.drawImage(this.map, x, y, w, h);
      context.globalAlpha = 1;
    }
    if (this.boxes) this.drawBoxes(context);
    this.drawSides(context);
  }

  drawBoxes(context) {
    if (this.view.crop) this.box(context, this.view.crop, "#e3e8ec", [7, 6], 1, "classified part", "below");
    if (this.view.joints.right) this.box(context, this.view.joints.right, RIGHT, [], 2, "right joint", "above");
    if (this.view.joints.left) this.box(context, this.view.joints.left, LEFT, [], 2, "left joint", "above");
  }

  box(context, edges, colour, dash, width, name, side) {
    const [x, y, w, h] = this.place(edges);
    context.setLineDash(dash);
    context.lineWidth = width + 2;
    context.strokeStyle = "#000a";
    context.strokeRect(x, y, w, h);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.strokeRect(x, y, w, h);
    context.setLineDash([]);
    context.font = "600 13px system-ui, 'DejaVu Sans', sans-serif";
    const long = context.measureText(name).width;
    const top = side === "above" ? y - 22 : y + h + 4;
    context.fillStyle = "#000b";
    context.fillRect(x - 1, top, long + 10, 18);
    context.fillStyle = colour;
    context.fillText(name, x + 4, top + 13.5);
  }

  /** The patient's sides, at the edges of the canvas, whatever part of the image is in sight. */
  drawSides(context) {
    const doubt = this.view.orientation_assumed ? "?" : "";
    context.font = "600 24px system-ui, 'DejaVu Sans', sans-serif";
    context.lineWidth = 4;
    context.strokeStyle = "#000";
    context.fillStyle = "#e3e8ec";
    for (const [letter, x, align] of [["R", 12, "left"], ["L", this.width - 12, "right"]]) {
      context.textAlign = align;
      context.strokeText(letter + doubt, x, this.height / 2);
      context.fillText(letter + doubt, x, this.height / 2);
    }
    context.textAlign = "left";
  }

  place([x0, y0, x1, y1]) {
    const s = this.scale;
    return [this.x + x0 * s, this.y + y0 * s, (x1 - x0) * s, (y1 - y0) * s];
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 33 : 1;
    this.zoom(Math.exp(Math.max(Math.min(-event.deltaY * lines * 0.0016, 0.5), -0.5)), this.at(event));
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  down(event) {
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const windows = event.button === 2 || event.shiftKey || this.dragWindows;
    this.pointers.set(event.pointerId, { ...this.at(event), windows });
    this.canvas.classList.add(windows ? "windowing" : "moving");
  }

  move(event) {
    const old = this.pointers.get(event.pointerId);
    if (!old) return;
    const now = { ...this.at(event), windows: old.windows };
    if (this.pointers.size === 2) {
      const other = [...this.pointers.entries()].find(([id]) => id !== event.pointerId)[1];
      const before = Math.hypot(old.x - other.x, old.y - other.y);
      const after = Math.hypot(now.x - other.x, now.y - other.y);
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      if (before > 0) this.zoom(after / before, middle);
      this.pan((now.x - old.x) / 2, (now.y - old.y) / 2);
    } else if (old.windows) {
      this.adjust((now.x - old.x) * 0.004, (old.y - now.y) * 0.0025);
    } else {
      this.pan(now.x - old.x, now.y - old.y);
    }
    this.pointers.set(event.pointerId, now);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.canvas.classList.remove("moving", "windowing");
  }
}

/** Where a value lies in the output range, 0 to 1: the functions of PS3.3 C.11.2.1.2 and C.11.2.1.3. */
export function fraction(value, center, width, kind) {
  if (kind === "SIGMOID") return 1 / (1 + Math.exp((-4 * (value - center)) / width));
  if (kind === "LINEAR" && width <= 1) return value > center - 0.5 ? 1 : 0;
  const part =
    kind === "LINEAR_EXACT" ? (value - center) / width + 0.5 : (value - (center - 0.5)) / (width - 1) + 0.5;
  return Math.min(Math.max(part, 0), 1);
}
