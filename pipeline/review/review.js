"use strict";
// The review page. Served, it asks the server for cards and pictures and sends every decision there
// before it shows the next crop. As a file, it has both in the element #data and saves a CSV.

const $ = (id) => document.getElementById(id);
const FILE = $("data") && JSON.parse($("data").textContent);
const RUNNING = { pace: [], shown: 0, busy: false, heat: false };
const state = { cards: new Map(), order: [], queue: [], id: null, classes: null, done: [], news: 0,
                regions: new Map(), drawing: null };
const LONGEST = 300000; // milliseconds at one crop that count for the pace; longer is a pause
const KEPT = 120; // pictures kept in memory

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function drawn(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

const percent = (value) => (value === undefined ? "" : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`);
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Where cards, pictures and decisions come from and go to.

class Refused extends Error {}

async function ask(path, body) {
  const headers = { "x-dental-reviewer": document.body.dataset.reviewer, "content-type": "application/json" };
  const answer = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : {});
  if (answer.ok) return answer;
  const found = await answer.json().catch(() => ({}));
  const message = found.error || `The server answered ${answer.status}.`;
  // What a retry cannot mend; a session that ended is mended by a new link.
  if (answer.status < 500 && answer.status !== 401) throw new Refused(message);
  throw new Error(message);
}

const served = {
  load: async () => (await ask(`/api/cards?batch=${encodeURIComponent(filters.batch)}`)).json(),
  picture: async (path) => URL.createObjectURL(await (await ask(path)).blob()),
  crop: (id) => served.picture(`/api/crop/${encodeURIComponent(id)}`),
  scan: (key) => served.picture(`/api/scan/${key}`),
  about: async (id) => (await ask(`/api/about/${encodeURIComponent(id)}`)).json(),
  heat: async (id) => (await ask(`/api/heat/${encodeURIComponent(id)}`)).json(),
  // Sends until the store has it: a decision outlives a server that was killed.
  async store(path, body) {
    kept("pending", { path, body });
    for (;;) {
      try {
        const found = await (await ask(path, { ...body, news: state.news })).json();
        kept("pending", null);
        warn("");
        return found;
      } catch (error) {
        if (error instanceof Refused) {
          kept("pending", null);
          warn(error.message);
          return null;
        }
        const reason = error instanceof TypeError ? "The server does not answer." : error.message;
        warn(`Not stored yet: ${reason} Trying again; keep this window open.`);
        await wait(1500);
      }
    }
  },
  decide: (body) => served.store("/api/decide", body),
  undo: (body) => served.store("/api/undo", body),
};

const inFile = {
  load: async () => FILE,
  crop: async (id) => FILE.pictures[id] && `data:image/webp;base64,${FILE.pictures[id]}`,
  scan: async (key) => FILE.scans[key] && `data:image/webp;base64,${FILE.scans[key]}`,
  about: async (id) => FILE.about[id] || {},
  heat: async (id) => FILE.heat[id],
  decide: async ({ crop_id, decision, label }) => inFile.change(crop_id, [...inFile.made(crop_id), { decision, label }]),
  undo: async ({ crop_id }) => inFile.change(crop_id, inFile.made(crop_id).slice(0, -1)),
  made: (id) => inFile.all()[id] || [],
  all: () => kept("decisions") || {},
  change(id, made) {
    const { [id]: before, ...others } = inFile.all();
    kept("decisions", made.length ? { ...others, [id]: made } : others);
    kept("saved", false);
    const { mine, ...card } = state.cards.get(id);
    return { card: made.length ? { ...card, mine: made.at(-1) } : card, count: 0, news: [] };
  },
};
const source = FILE ? inFile : served;

// Kept in the browser: for a file what was decided, until it is saved; else a decision on its way.
const memory = {};
function kept(name, value) {
  const key = `dental:${FILE ? FILE.key : "review"}:${name}`;
  const place = FILE ? "localStorage" : "sessionStorage";
  if (value !== undefined) memory[key] = value;
  try {
    if (value !== undefined) window[place].setItem(key, JSON.stringify(value));
    return JSON.parse(window[place].getItem(key));
  } catch {
    return memory[key] ?? null; // a browser that keeps nothing
  }
}

const pictures = new Map();
function picture(kind, id) {
  const key = `${kind} ${id}`;
  if (!pictures.has(key)) {
    pictures.set(key, source[kind](id).catch(() => (pictures.delete(key), null)));
    if (pictures.size > KEPT) {
      const [oldest, url] = pictures.entries().next().value;
      pictures.delete(oldest);
      url.then((each) => each && each.startsWith("blob:") && setTimeout(() => URL.revokeObjectURL(each), 10000));
    }
  }
  return pictures.get(key);
}

// Filters and order. Crops to be judged blindly match no filter of what is hidden, and are mixed in
// after every third of the others, whatever the order.

const filters = { batch: "", show: "review", label: "", tooth: "", modality: "", flag: "", quality: "", low: "", high: "", sort: "list", view: "crop" };
const current = (card) => (card.mine && card.mine.label) || card.label;
const tooth = (card) => card.tooth ?? card.guess;

const SHOW = {
  review: ["To review", (c) => c.mine || !c.taken || c.disputed],
  open: ["Unlabelled", (c) => !c.mine && !c.label],
  mine: ["Reviewed by me", (c) => c.mine],
  unsure: ["Unsure", (c) => c.mine && c.mine.decision === "unsure"],
  audit: ["Audit", (c) => c.audit],
  head: ["Label is not the prediction", (c) => c.predicted && current(c) && current(c) !== c.predicted],
  reviewers: ["Reviewers disagree", (c) => c.disputed],
  doubt: ["Doubtful labels", (c) => c.doubt > 0.5],
  all: ["All", () => true],
};
const FLAGS = {
  flagged: ["flagged", (c) => c.flagged],
  clear: ["not flagged", (c) => !c.flagged && !c.blind],
  novel: ["novel", (c) => c.novelty >= 0.99],
  repeat: ["repeat", (c) => c.repeat],
  seen: ["seen in training", (c) => c.seen],
};
const falling = (key) => (a, b) => (b[key] ?? -1) - (a[key] ?? -1);
const SORT = {
  list: ["Work-list", null],
  likely: ["Likeliest abnormal", falling("p")],
  unlikely: ["Least likely", (a, b) => (a.p ?? 2) - (b.p ?? 2)],
  next: ["Label next", (a, b) => (a.next ?? 1e9) - (b.next ?? 1e9)],
  novelty: ["Most novel", falling("novelty")],
  doubt: ["Most doubtful label", falling("doubt")],
  tooth: ["Tooth", (a, b) => (tooth(a) ?? 99) - (tooth(b) ?? 99)],
  scan: ["Scan", null],
};

function matches(card) {
  const f = filters;
  return (
    SHOW[f.show][1](card) &&
    (!f.batch || card.batch === f.batch) &&
    (!f.label || (!card.blind && (card.predicted === f.label || current(card) === f.label))) &&
    (!f.tooth || String(tooth(card)) === f.tooth) &&
    (!f.modality || card.modality === f.modality) &&
    (!f.flag || FLAGS[f.flag][1](card)) &&
    (!f.quality || (card.quality || []).includes(f.quality)) &&
    (f.low === "" || card.p >= Number(f.low)) &&
    (f.high === "" || card.p <= Number(f.high))
  );
}

function arrange() {
  const found = state.order.filter((card) => matches(card) || card.id === state.id);
  const blind = found.filter((card) => card.blind).sort((a, b) => (a.id < b.id ? -1 : 1));
  let ranked = found.filter((card) => !card.blind);
  if (filters.sort === "scan") {
    const scans = new Map();
    for (const card of found) scans.set(card.scan, [...(scans.get(card.scan) || []), card]);
    const best = (cards) => Math.max(...cards.map((card) => card.p ?? -1));
    const groups = [...scans.values()].sort((a, b) => best(b) - best(a));
    state.queue = groups.flatMap((cards) => cards.sort((a, b) => Boolean(a.blind) - Boolean(b.blind))).map((c) => c.id);
    return;
  }
  if (SORT[filters.sort][1]) ranked = ranked.sort(SORT[filters.sort][1]);
  state.queue = [];
  for (let at = 0; at < ranked.length || blind.length; at += 3) {
    state.queue.push(...ranked.slice(at, at + 3).map((card) => card.id));
    if (blind.length) state.queue.push(blind.shift().id);
  }
}

function chooser(name, title, options) {
  const select = make("select", { name, onchange: (event) => filter(name, event.target.value) });
  for (const [value, text] of options) select.append(make("option", { value }, text));
  select.value = filters[name];
  return make("label", {}, title, select);
}

function number(name, title) {
  const change = (event) => filter(name, event.target.value);
  const input = make("input", { name, type: "number", min: 0, max: 1, step: 0.05, value: filters[name], onchange: change });
  return make("label", {}, title, input);
}

function renderFilters(batches) {
  const any = ["", "any"];
  const values = (of) => [...new Set(state.order.flatMap(of).filter((each) => each !== undefined))].sort();
  const listed = (of) => [any, ...values(of).map((each) => [String(each), String(each)])];
  const named = (choices) => Object.entries(choices).map(([value, [text]]) => [value, text]);
  const { labels, normal } = state.classes;
  $("filters").replaceChildren(
    chooser("show", "Show", named(SHOW)),
    chooser("sort", "Order", named(SORT)),
    chooser("batch", "Batch", [any, ...batches.map((each) => [each, each])]),
    chooser("label", "Label or prediction", [any, ...[normal, ...labels].map((each) => [each, each])]),
    number("low", "p from"),
    number("high", "p to"),
    chooser("tooth", "Tooth", listed((card) => [tooth(card)])),
    chooser("modality", "Modality", listed((card) => [card.modality])),
    chooser("flag", "Flag", [any, ...named(FLAGS)]),
    chooser("quality", "Quality", listed((card) => card.quality || [])),
  );
}

function filter(name, value) {
  filters[name] = value;
  state.id = null;
  if (name === "batch" && !FILE) return remember(), begin();
  arrange();
  show(firstOpen());
}

// Position: what is shown stands in the address, so a reload comes back to it.

function remember() {
  const set = Object.entries(filters).filter(([name, value]) => value && value !== DEFAULTS[name]);
  const hash = new URLSearchParams([...set, ...(state.id ? [["crop", state.id]] : [])]);
  history.replaceState(null, "", `#${hash}`);
}
const DEFAULTS = { ...filters };

function recall() {
  const hash = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(filters)) if (hash.has(name)) filters[name] = hash.get(name);
  if (!SHOW[filters.show]) filters.show = DEFAULTS.show;
  if (!SORT[filters.sort]) filters.sort = DEFAULTS.sort;
  if (filters.flag && !FLAGS[filters.flag]) filters.flag = "";
  return hash.get("crop");
}

const isOpen = (id) => !state.cards.get(id).mine;
const firstOpen = (from = 0) => {
  const rest = state.queue.slice(from).find(isOpen) ?? state.queue.find(isOpen);
  return rest ?? state.queue[Math.min(from, state.queue.length - 1)] ?? null;
};
const place = () => state.queue.indexOf(state.id);

function step(by) {
  const to = Math.min(Math.max(place() + by, 0), state.queue.length - 1);
  if (to >= 0) show(state.queue[to]);
}

// The card.

async function show(id) {
  state.id = id;
  remember();
  renderProgress();
  const card = state.cards.get(id);
  for (const part of ["stage", "scan-panel", "facts", "others", "verdicts"]) $(part).hidden = !card;
  if (!card) {
    warn(state.order.length ? "No crop matches the filter." : "There is no crop to review yet.");
    return;
  }
  leaveDrawing();
  renderHead(card);
  renderVerdicts(card);
  renderFacts(card);
  $("similar").replaceChildren();
  $("earlier").replaceChildren();
  $("heat").hidden = $("heat-legend").hidden = true;
  const url = await picture("crop", id);
  if (state.id !== id) return;
  $("crop").src = url || "data:,";
  $("crop").alt = url ? `Crop ${describe(card)}` : "The crop was deleted and its scan is not at hand";
  RUNNING.shown = performance.now();
  document.body.dataset.shown = id; // what tests wait for
  for (const next of state.queue.slice(place() + 1, place() + 4)) picture("crop", next);
  renderScan(card);
  if (RUNNING.heat) renderHeat(card);
  // Not at once: who leafs through does not wait for it.
  if (!card.blind) setTimeout(() => state.id === id && renderOthers(card), 120);
}

const describe = (card) => {
  const known = card.tooth ? `of tooth ${card.tooth}` : card.guess ? `near tooth ${card.guess}` : "";
  return [known, card.modality].filter(Boolean).join(", ");
};

function renderProgress() {
  const total = state.queue.length;
  const reviewed = state.queue.filter((id) => !isOpen(id)).length;
  $("bar").max = total || 1;
  $("bar").value = reviewed;
  $("count").textContent = `${reviewed} of ${total}`;
  const sorted = [...RUNNING.pace].sort((a, b) => a - b);
  $("pace").textContent = sorted.length ? `${(sorted[sorted.length >> 1] / 1000).toFixed(1)} s a crop` : "";
  document.title = `${reviewed} of ${total} · Review`;
}

function renderHead(card) {
  const guess = card.guess ? `Tooth ${card.guess}? (${percent(card.sure)})` : "Whole picture";
  $("title").textContent = card.tooth ? `Tooth ${card.tooth}` : card.kind === "box" ? "Marked place" : guess;
  $("crop-id").textContent = card.id;
  const tag = (text, kind = "") => make("span", { class: `tag ${kind}` }, text);
  const tags = [];
  if (card.mine) tags.push(tag(`${card.mine.decision === "label" ? "" : `${card.mine.decision} `}${card.mine.label || ""}`.trim(), "mine"));
  if (card.disputed) tags.push(tag("reviewers disagree", "problem"));
  if (card.blind) tags.push(tag("audit: judge the picture alone"));
  else if (card.audit) tags.push(tag("audit"));
  if (card.flagged) tags.push(tag("flagged", "flagged"));
  for (const name of ["seen", "repeat"]) if (card[name]) tags.push(tag(name === "seen" ? "seen in training" : name));
  if (card.novelty >= 0.99) tags.push(tag("novel"));
  for (const flag of card.quality || []) tags.push(tag(flag, "problem"));
  $("tags").replaceChildren(...tags);
  const prediction = card.blind ? "audit crop" : card.predicted ? `predicted ${card.predicted} ${percent(card.p)}` : "";
  const mine = card.mine ? `, decided ${card.mine.label || card.mine.decision}` : "";
  $("news").textContent = `${place() + 1} of ${state.queue.length}: ${$("title").textContent}, ${prediction}${mine}`;
}

function renderVerdicts(card) {
  const { labels, normal } = state.classes;
  const button = (text, key, action, options = {}) =>
    make("button", { type: "button", onclick: () => (action(), $("stage").focus()), ...options }, text, " ", key ? make("kbd", {}, key) : "");
  const given = card.mine && card.mine.label;
  const label = (name, key) => button(name, key, () => decide("label", name), { "aria-pressed": String(given === name) });
  const confirm = card.predicted
    ? button(`Confirm ${card.predicted}`, "Enter", () => decide("label", card.predicted), { class: "main" })
    : null;
  const many = labels.length > 9
    ? make("select", { "aria-label": "Another label", onchange: (event) => decide("label", event.target.value) },
        make("option", { value: "" }, "Other…"), ...labels.slice(9).map((name) => make("option", {}, name)))
    : "";
  const agree = card.disputed && given
    ? button(`Consensus: ${given}`, "c", () => decide("consensus", given)) : "";
  $("verdicts").replaceChildren(
    make("div", { class: "group" }, confirm, label(normal, "0"), ...labels.slice(0, 9).map((name, at) => label(name, String(at + 1))), many),
    make("div", { class: "group" },
      button("Unsure", "u", () => decide("unsure")), button("Skip", "s", skip),
      button("Undo", "z", undo, { disabled: !state.done.length }),
      card.label && !card.blind ? button("Withdraw label", "w", () => decide("withdraw")) : "",
      agree,
      FILE ? "" : button("Missed finding", "b", startDrawing),
      card.blind || !state.classes.head ? "" : button("Heat map", "h", toggleHeat, { "aria-pressed": String(RUNNING.heat) }),
      button("Previous", "p", () => step(-1)), button("Next", "n", () => step(1))),
  );
}

function renderFacts(card) {
  const { scored, threshold, normal } = state.classes;
  const bars = make("div", { class: "bars" });
  const bar = (name, value, limit) => {
    const fill = make("div", { class: "fill" });
    fill.style.width = `${100 * value}%`;
    const track = make("div", { class: "track" }, fill);
    if (limit) {
      const mark = make("div", { class: "limit", title: `flagged from ${limit.toFixed(3)}` });
      mark.style.left = `${100 * limit}%`;
      track.append(mark);
    }
    const sum = limit ? "sum" : "";
    bars.append(make("span", { class: sum }, name), track, make("span", { class: `value ${sum}` }, percent(value)));
  };
  if (card.p !== undefined) {
    bar(`not ${normal}`, card.p, threshold);
    const all = scored.map((name, at) => [name, card.probabilities[at] ?? 0]).sort((a, b) => b[1] - a[1]);
    for (const [name, value] of all) bar(name, value);
  }
  const heading = make("h3", {}, card.p === undefined ? "No scores" : `Prediction: ${card.predicted}`);
  const hidden = card.blind ? make("p", {}, "This crop was drawn by chance. Its scores are shown after your decision, so that they do not lead it.") : "";
  const limit = card.p === undefined ? "" : make("p", { class: "soft" }, `The red line is the flagging threshold, ${percent(threshold)}.`);
  $("scores").replaceChildren(card.blind ? hidden : make("div", {}, heading, bars, limit));
  const known = {
    "Label in force": card.label && `${card.label} (${card.source})`,
    "Doubt": card.doubt > 0.5 && `other models expect ${card.suggested}`,
    "Tooth": card.tooth ? `${card.tooth}, delivered` : card.guess && `${card.guess}, by its place (${percent(card.sure)} sure)`,
    "Quality": (card.quality || []).join(", "),
    "Novelty": card.novelty !== undefined && `higher than ${percent(card.novelty)} of all crops`,
    "Other reviewers": card.others,
    "Batch": card.batch,
    "Modality": card.modality,
  };
  const rows = Object.entries(known).filter(([, value]) => value);
  $("known").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
}

async function renderOthers(card) {
  const found = await source.about(card.id).catch(() => ({}));
  if (state.id !== card.id) return;
  const figure = ({ id, label, like, batch }) => {
    const image = make("img", { alt: `Crop labelled ${label || "not yet"}` });
    picture("crop", id).then((url) => url && (image.src = url));
    const text = [label || "not labelled", like === undefined ? batch : `${percent(like)} alike`];
    return make("figure", {}, image, make("figcaption", {}, text.join(", "), make("div", { class: "id" }, id)));
  };
  const group = (title, cards) =>
    cards && cards.length ? [make("h3", {}, title), make("div", { class: "row" }, ...cards.map(figure))] : [];
  $("similar").replaceChildren(...group("Most similar labelled crops of other patients", found.similar));
  $("earlier").replaceChildren(...group("Same patient, other scans", found.earlier));
}

// The scan.

function colour(p) {
  if (p === undefined) return "#f5f5f5";
  const [from, to] = p < 0.5 ? [[44, 127, 214], [143, 143, 143]] : [[143, 143, 143], [230, 97, 0]];
  const share = p < 0.5 ? 2 * p : 2 * p - 1;
  return `rgb(${from.map((value, at) => Math.round(value + share * (to[at] - value))).join(" ")})`;
}

const rect = ([x, y, width, height], more) => drawn("rect", { x, y, width, height, ...more });

async function renderScan(card) {
  const [width, height] = card.size;
  const svg = $("scan");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const same = state.order.filter((each) => each.scan === card.scan);
  const marks = [];
  const letters = Math.max(width, height) / 45;
  // A blind crop's place is not coloured, nor are its neighbours, which often show the same tooth.
  for (const each of same.sort((a, b) => (a.p ?? 0) - (b.p ?? 0))) {
    const here = each.id === card.id ? " here" : "";
    const mark = rect(each.place, { class: `${each.kind === "box" ? "box" : "found"}${here}` });
    mark.style.stroke = colour(card.blind || each.blind ? undefined : each.p);
    mark.addEventListener("click", () => state.drawing || show(each.id));
    marks.push(mark);
    if (here && tooth(each)) {
      const at = { x: each.place[0], y: each.place[1] - letters / 3, "font-size": letters };
      marks.push(drawn("text", at, `${tooth(each)}${each.tooth ? "" : "?"}`));
    }
  }
  for (const region of state.regions.get(card.scan) || []) {
    const [x, y] = region.box;
    marks.push(rect(region.box, { class: "missed" }));
    marks.push(drawn("text", { x, y: y - letters / 3, "font-size": letters }, region.label || "drawn"));
  }
  marks.push(rect(card.box, { class: "square" }));
  const image = drawn("image", { width, height, preserveAspectRatio: "none" });
  svg.replaceChildren(image, ...marks);
  const scale = card.blind || card.p === undefined ? [] : [make("span", {}, "less ", make("i"), " more likely abnormal")];
  const kinds = same.some((each) => each.kind === "box") ? "solid: delivered box" : "dashed: place that was looked at";
  $("scan-legend").replaceChildren(...scale, make("span", {}, kinds), make("span", {}, `${same.length} crops`));
  const url = await picture("scan", card.scan);
  if (url) image.setAttribute("href", url);
  else if ($("crop").src && card.kind === "whole") image.setAttribute("href", $("crop").src);
}

async function renderHeat(card) {
  if (!card.blind) {
    $("heat-legend").hidden = false;
    $("heat-legend").textContent = "Computing the heat map…";
  }
  const found = card.blind ? null : await source.heat(card.id).catch(() => null);
  if (state.id !== card.id || !RUNNING.heat) return;
  const canvas = $("heat");
  canvas.hidden = !found;
  $("heat-legend").hidden = false;
  $("heat-legend").textContent = found
    ? `Orange: evidence for ${found.finding}; blue: for ${found.normal}. Log-odds ${found.log_odds}.`
    : FILE && !card.blind ? "This file has heat maps of its first hundred crops alone." : "There is no heat map of this crop.";
  if (!found) return;
  const [rows, columns] = found.shape;
  Object.assign(canvas, { width: columns, height: rows });
  const pixels = new ImageData(columns, rows);
  found.cells.forEach((value, at) => {
    pixels.data.set([...(value > 0 ? [230, 97, 0] : [44, 127, 214]), Math.round(1.3 * Math.abs(value))], 4 * at);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const [x, y, width, height] = card.box;
  $("scan").querySelectorAll(".map").forEach((each) => each.remove());
  $("scan").append(drawn("image", { class: "map", x, y, width, height, preserveAspectRatio: "none", href: canvas.toDataURL() }));
}

function toggleHeat() {
  RUNNING.heat = !RUNNING.heat;
  const card = state.cards.get(state.id);
  $("heat").hidden = $("heat-legend").hidden = true;
  $("scan").querySelectorAll(".map").forEach((each) => each.remove());
  renderVerdicts(card);
  if (RUNNING.heat) renderHeat(card);
}

// Decisions.

async function decide(decision, label = null) {
  const card = state.cards.get(state.id);
  if (!card || RUNNING.busy || label === "") return;
  if (FILE && !reviewerCode()) return;
  const took = performance.now() - RUNNING.shown;
  await whileBusy(async () => {
    const found = await source.decide({ crop_id: card.id, decision, label });
    if (!found) return;
    take(found);
    state.done = [...state.done.filter((id) => id !== card.id), card.id];
    if (took < LONGEST) RUNNING.pace.push(took);
    // A consensus is about a crop that stays in view.
    await show(decision === "consensus" ? card.id : firstOpen(place() + 1));
  });
}

async function undo() {
  const id = state.done.findLast((each) => state.cards.has(each) || drawnHere(each));
  if (!id || RUNNING.busy) return;
  if (!state.cards.has(id)) return takeBack(id);
  const { decision, label } = state.cards.get(id).mine;
  await whileBusy(async () => {
    const found = await source.undo({ crop_id: id, decision, label: label ?? null });
    if (!found) return;
    take(found);
    state.done = state.done.filter((each) => each !== id || found.card.mine);
    if (!state.queue.includes(id)) state.queue.splice(Math.max(place(), 0), 0, id);
    await show(id);
  });
}

function skip() {
  const rest = state.queue.slice(place() + 1).find(isOpen);
  if (rest) show(rest);
  else step(1);
}

async function whileBusy(work) {
  RUNNING.busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    RUNNING.busy = false;
    document.body.removeAttribute("aria-busy");
  }
}

// What came back: the card as it is now, and the crops that others took meanwhile.
function take({ card, count, news }) {
  replace(card);
  state.news = count;
  for (const id of news) {
    const other = state.cards.get(id);
    if (other && !other.mine) replace({ ...other, taken: true });
  }
  const here = place();
  state.queue = state.queue.filter((id, at) => at <= here || state.cards.get(id).mine || matches(state.cards.get(id)));
}

function replace(card) {
  state.cards.set(card.id, card);
  state.order[state.order.findIndex((each) => each.id === card.id)] = card;
}

// Missed findings: a box on the scan.

function startDrawing() {
  const card = state.cards.get(state.id);
  if (FILE || !card || state.drawing) return;
  const [width, height] = card.size;
  const side = Math.round(Math.min(width, height) / 5);
  const [x, y, w, h] = card.place;
  state.drawing = { box: [Math.round(x + w / 2 - side / 2), Math.round(y + h / 2 - side / 2), side, side], view: filters.view };
  setView("scan");
  $("missed").hidden = false;
  $("missed-label").replaceChildren(...state.classes.labels.map((name) => make("option", {}, name)));
  $("scan").classList.add("drawing");
  renderDraft();
  $("stage").focus();
}

// The crop whose scan has a box that this reviewer drew.
function drawnHere(id) {
  const [scan, boxes] = [...state.regions].find(([, each]) => each.some((box) => box.id === id)) || [];
  const mine = boxes && boxes.find((box) => box.id === id && box.by === document.body.dataset.reviewer);
  return mine && state.order.find((card) => card.scan === scan);
}

async function takeBack(drawn) {
  const card = drawnHere(drawn);
  await whileBusy(async () => {
    const found = await source.store("/api/take-back", { crop_id: card.id, drawn });
    state.done = state.done.filter((each) => each !== drawn);
    if (!found) return;
    state.regions.set(card.scan, found.regions);
    await show(card.id);
  });
}

function renderDraft() {
  const [width, height] = state.cards.get(state.id).size;
  let [x, y, w, h] = state.drawing.box.map(Math.round);
  w = Math.min(Math.max(w, 4), width);
  h = Math.min(Math.max(h, 4), height);
  x = Math.min(Math.max(x, 0), width - w);
  y = Math.min(Math.max(y, 0), height - h);
  state.drawing.box = [x, y, w, h];
  $("scan").querySelectorAll(".draft").forEach((each) => each.remove());
  $("scan").append(rect(state.drawing.box, { class: "draft" }));
}

function moveDraft(key, resize) {
  const step = Math.max(1, Math.round(state.cards.get(state.id).size[0] / 100));
  const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[key];
  const from = resize ? 2 : 0;
  state.drawing.box[from] += by[0];
  state.drawing.box[from + 1] += by[1];
  renderDraft();
}

function leaveDrawing() {
  if (!state.drawing) return;
  const { view } = state.drawing;
  state.drawing = null;
  $("missed").hidden = true;
  $("scan").classList.remove("drawing");
  $("scan").querySelectorAll(".draft").forEach((each) => each.remove());
  setView(view);
}

async function storeMissed() {
  const card = state.cards.get(state.id);
  const { box } = state.drawing;
  await whileBusy(async () => {
    const found = await source.store("/api/draw", { crop_id: card.id, box, label: $("missed-label").value });
    if (!found) return;
    state.regions.set(card.scan, found.regions);
    state.done.push(found.drawn);
    leaveDrawing();
    renderVerdicts(card);
    renderScan(card);
    $("news").textContent = `Stored: missed ${$("missed-label").value}`;
  });
}

function pointAt(event) {
  const found = new DOMPoint(event.clientX, event.clientY).matrixTransform($("scan").getScreenCTM().inverse());
  return [found.x, found.y];
}

$("scan").addEventListener("pointerdown", (event) => {
  if (!state.drawing) return;
  state.drawing.from = pointAt(event);
  $("scan").setPointerCapture(event.pointerId);
});
$("scan").addEventListener("pointermove", (event) => {
  if (!state.drawing || !state.drawing.from) return;
  const [[x, y], [right, bottom]] = [state.drawing.from, pointAt(event)];
  state.drawing.box = [Math.min(x, right), Math.min(y, bottom), Math.abs(right - x), Math.abs(bottom - y)];
  renderDraft();
});
$("scan").addEventListener("pointerup", () => state.drawing && (state.drawing.from = null));
$("missed").addEventListener("submit", (event) => (event.preventDefault(), storeMissed()));
$("missed-cancel").addEventListener("click", leaveDrawing);

// A file's decisions, as the table that `dental review import` takes.

function reviewerCode() {
  const code = $("code").value.trim().toLowerCase();
  kept("code", code);
  if (/^[a-z0-9_-]{1,16}$/.test(code)) return code;
  warn("Enter your code first: 1 to 16 letters, digits, _ or -. Codes are stored, so use no name.");
  $("code").focus();
  return null;
}

function saveTable() {
  const code = reviewerCode();
  if (!code) return;
  const lines = [["crop_id", "predicted", "label", "reviewer", "note"]];
  for (const [id, made] of Object.entries(inFile.all())) {
    const { decision, label } = made.at(-1);
    lines.push([id, state.cards.get(id)?.predicted || "", label || decision, code, ""]);
  }
  const text = lines.map((line) => `${line.join(",")}\r\n`).join("");
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: `${FILE.batch}-${code}.csv` });
  link.click();
  kept("saved", true);
}

// How often reviewers of the same crops agree.

async function showAgreement() {
  const rows = await ask("/api/agreement").then((answer) => answer.json()).catch(() => []);
  const of = (value, low, high) => (value === null ? "–" : low === null ? value.toFixed(2) : `${value.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`);
  const line = (kind, values) => make("tr", {}, ...values.map((value) => make(kind, kind === "th" ? { scope: "col" } : {}, String(value))));
  const table = make("table", {}, make("thead", {}, line("th", ["Reviewers", "Crops", "Patients", "Same label", "Cohen's kappa"])),
    make("tbody", {}, ...rows.map((row) => line("td", [`${row.one}, ${row.other}`, row.crops, row.patients,
      of(row.agreed, row.agreed_low, row.agreed_high), of(row.kappa, row.kappa_low, row.kappa_high)]))));
  const note = rows.length ? "With 95 % intervals. A consensus is no reading." : "No two reviewers have labelled the same crop yet.";
  $("agreement").lastElementChild.replaceChildren(...(rows.length ? [table] : []), make("p", { class: "soft" }, note));
}

// Keys.

const KEYS = {
  Enter: ["confirm the prediction", () => { const { predicted } = state.cards.get(state.id); if (predicted) decide("label", predicted); }],
  n: ["next crop, also →", () => step(1)],
  p: ["previous crop, also ←", () => step(-1)],
  u: ["unsure: seen, and cannot tell", () => decide("unsure")],
  s: ["skip to the next crop without a decision", skip],
  z: ["undo the last decision", undo],
  w: ["withdraw the label in force", () => { const card = state.cards.get(state.id); if (card.label) decide("withdraw"); }],
  c: ["record your label as the consensus of disagreeing reviewers", () => {
    const card = state.cards.get(state.id);
    if (card.disputed && card.mine && card.mine.label) decide("consensus", card.mine.label);
  }],
  h: ["heat map on or off", toggleHeat],
  b: ["draw a missed finding on the scan", startDrawing],
  v: ["scan or crop large", () => setView(filters.view === "scan" ? "crop" : "scan")],
  f: ["filter and sort", toggleFilters],
  "?": ["show these keys", () => $("keys").showModal()],
};
const ALSO = { ArrowRight: "n", ArrowLeft: "p" };

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || $("keys").open) return;
  const inField = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && (state.drawing || inField)) {
    event.target.blur();
    leaveDrawing();
    return;
  }
  // Keys of the focused control are its own.
  if (inField || (event.key === "Enter" && event.target.closest("button, a"))) return;
  if (state.drawing && (event.key.startsWith("Arrow") || event.key === "Enter" || /^[1-9]$/.test(event.key))) {
    event.preventDefault();
    if (event.key === "Enter") storeMissed();
    else if (event.key.startsWith("Arrow")) moveDraft(event.key, event.shiftKey);
    else if (state.classes.labels[event.key - 1]) $("missed-label").value = state.classes.labels[event.key - 1];
    return;
  }
  const { labels, normal } = state.classes;
  const label = event.key === "0" ? normal : /^[1-9]$/.test(event.key) ? labels[event.key - 1] : null;
  const action = label ? () => decide("label", label) : (KEYS[event.key] || KEYS[ALSO[event.key]] || [])[1];
  if (!action || (!state.id && !["f", "?"].includes(event.key))) return;
  event.preventDefault();
  action();
}

function renderKeys() {
  const { labels, normal } = state.classes;
  const rows = [["0", normal], ...labels.slice(0, 9).map((name, at) => [String(at + 1), name]),
                ...Object.entries(KEYS).map(([key, [text]]) => [key, text])];
  $("key-list").replaceChildren(...rows.flatMap(([key, text]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, text)]));
}

function toggleFilters() {
  const open = $("filters").hidden;
  $("filters").hidden = !open;
  $("show-filters").setAttribute("aria-expanded", String(open));
  if (open) $("filters").querySelector("select").focus();
}

function setView(view) {
  filters.view = view;
  document.querySelector("main").dataset.view = view;
  $("switch-view").firstChild.textContent = view === "scan" ? "Crop " : "Scan ";
  remember();
}

function warn(message) {
  $("alert").hidden = !message;
  if ($("alert").textContent !== message) $("alert").textContent = message;
}

// Start.

async function begin() {
  const wanted = recall();
  const pending = FILE ? null : kept("pending");
  if (pending) await served.store(pending.path, pending.body);
  let found;
  try {
    found = await source.load();
  } catch (error) {
    warn(error.message);
    return;
  }
  Object.assign(state, { classes: found.classes, order: found.cards, news: found.news || 0, done: found.done || [] });
  state.regions = new Map(Object.entries(found.regions || {}));
  state.cards = new Map(found.cards.map((card) => [card.id, card]));
  if (FILE) {
    $("code").value = kept("code") || "";
    for (const [id, made] of Object.entries(inFile.all())) {
      if (!state.cards.has(id)) continue;
      replace({ ...state.cards.get(id), mine: made.at(-1) });
      state.done.push(id);
    }
  }
  renderFilters(found.batches);
  renderKeys();
  setView(filters.view);
  const more = found.total > found.cards.length;
  warn(more ? `These are the first ${found.cards.length} of ${found.total} crops; choose a batch to see its others.` : "");
  state.id = state.cards.has(wanted) ? wanted : null;
  arrange();
  await show(state.id || firstOpen());
}

document.addEventListener("keydown", pressed);
$("show-filters").addEventListener("click", toggleFilters);
$("switch-view").addEventListener("click", KEYS.v[1]);
$("show-keys").addEventListener("click", KEYS["?"][1]);
if (!FILE) $("agreement").addEventListener("toggle", () => $("agreement").open && showAgreement());
if (FILE) $("save").addEventListener("click", saveTable);
window.addEventListener("beforeunload", (event) => {
  const unsaved = FILE ? Object.keys(inFile.all()).length && !kept("saved") : RUNNING.busy;
  if (unsaved) event.preventDefault();
});
begin();
