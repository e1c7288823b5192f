"use strict";
(() => {
const byId = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;  // never as markup: all of it is model output
  return element;
};
const PAGE = 200;
const state = { rows: [], shown: [], open: -1, listed: 0 };
const WAYS = { worsened: (row) => row.d < 0, improved: (row) => row.d > 0, same: (row) => row.d === 0 };

async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// --- words that differ -------------------------------------------------------------------------------

function words(text) { return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) || []; }

// Longest common subsequence of words, after the common beginning and end. Null where that would take too long.
function differences(before, after) {
  const a = words(before), b = words(after);
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const x = a.slice(start, a.length - end), y = b.slice(start, b.length - end);
  if (x.length * y.length > 4e6) return null;
  const width = y.length + 1, table = new Uint16Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i--)
    for (let j = y.length - 1; j >= 0; j--)
      table[i * width + j] = x[i] === y[j] ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
  const parts = { before: [[a.slice(0, start).join(""), false]], after: [[b.slice(0, start).join(""), false]] };
  let i = 0, j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) {
      parts.before.push([x[i++], false]);
      parts.after.push([y[j++], false]);
    } else if (j >= y.length || (i < x.length && table[(i + 1) * width + j] >= table[i * width + j + 1])) {
      parts.before.push([x[i++], true]);
    } else {
      parts.after.push([y[j++], true]);
    }
  }
  const tail = a.slice(a.length - end).join("");
  parts.before.push([tail, false]);
  parts.after.push([tail, false]);
  return parts;
}

function marked(parts, tag) {
  const pre = make("pre");
  let text = "", changed = false;
  const flush = () => { if (text) pre.append(changed ? make(tag, "", text) : text); text = ""; };
  for (const [word, differs] of parts) {
    if (differs !== changed) { flush(); changed = differs; }
    text += word;
  }
  flush();
  return pre;
}

// --- one case ----------------------------------------------------------------------------------------

const percent = (value) => value === undefined ? "–" : (100 * value).toFixed(1);
const way = (row) => row.d < 0 ? "worsened" : row.d > 0 ? "improved" : "same";
const sign = (row) => row.d < 0 ? "−" : row.d > 0 ? "+" : "=";
const linkOf = (row) => "#case=" + [row.s, row.f, row.id, row.c].map((i) => encodeURIComponent(texts[i])).join("/");
let texts = [];

function fact(list, name, value) {
  if (value === undefined || value === "") return;
  list.append(make("dt", "", name), make("dd", "", value));
}

function sideOf(title, side, text, body) {
  const box = make("div", "side");
  box.append(make("h4", "", `${title}: ${texts[side.c]}`));
  const facts = [side.o, `score ${percent(side.v)}`];
  if (side.l !== undefined) facts.push(`${side.l} tokens`);
  if (side.ms !== undefined) facts.push(`${side.ms} ms`);
  box.append(make("p", "small faint", facts.join(" · ")), body || make("pre", "", text || "(no answer)"));
  const about = make("dl", "checks");
  fact(about, "read as", side.k === undefined ? undefined : texts[side.k]);
  fact(about, "check", side.w === undefined ? undefined : texts[side.w]);
  if (about.children.length) box.append(about);
  side.x.slice(1).forEach((place, number) => {
    const more = make("details");
    const score = side.n ? `, score ${percent(side.n[number + 1])}` : "";
    more.append(make("summary", "", `sample ${number + 2}${score}`), make("pre", "", texts[place]));
    box.append(more);
  });
  return box;
}

function draw(row) {
  const box = make("article", "case");
  const title = make("h3", "", texts[row.id]);
  title.tabIndex = -1;
  box.append(title);
  const where = `${texts[row.s]} × ${texts[row.c]}`;
  const tags = row.t.map((place) => texts[place]).join(", ");
  box.append(make("p", "small faint", [where, way(row), row.m ? "must pass" : "", tags].filter(Boolean).join(" · ")));
  box.append(make("h4", "", "Asked"), make("pre", "asked", texts[row.q] || "(nothing)"));
  if (row.e !== undefined) box.append(make("h4", "", "Expected"), make("pre", "asked", texts[row.e]));
  const ours = row.a.x.length ? texts[row.a.x[0]] : "";
  const sides = make("div", "sides");
  if (row.b) {
    const theirs = row.b.x.length ? texts[row.b.x[0]] : "";
    const parts = theirs && ours && theirs !== ours ? differences(theirs, ours) : null;
    sides.append(sideOf("baseline", row.b, theirs, parts && marked(parts.before, "del")));
    sides.append(sideOf("candidate", row.a, ours, parts && marked(parts.after, "ins")));
    if (theirs && theirs === ours) box.append(make("p", "small", "Both answered the same."));
  } else {
    sides.append(sideOf("candidate", row.a, ours));
  }
  box.append(sides);
  const again = make("p", "again");
  const command = make("code", "", texts[row.r]);
  const link = make("a", "", "link to this case");
  link.href = linkOf(row);
  again.append(make("span", "small faint", "Ask it again: "), command, " ", link);
  box.append(again);
  return box;
}

// --- the list ----------------------------------------------------------------------------------------

function matches() {
  const asked = byId("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const [suite, checkpoint, outcome, flip, tag] =
    ["suite", "checkpoint", "outcome", "flip", "tag"].map((name) => byId(`by-${name}`).value);
  return state.rows.filter((row) =>
    (!suite || texts[row.s] === suite) && (!checkpoint || texts[row.c] === checkpoint) &&
    (!outcome || row.a.o === outcome) && (!flip || WAYS[flip](row)) &&
    (!tag || row.t.some((place) => texts[place] === tag)) &&
    asked.every((word) => row.all.some((place) => lower(place).includes(word))));
}

const lowered = [];
function lower(place) {
  if (lowered[place] === undefined) lowered[place] = texts[place].toLowerCase();
  return lowered[place];
}

function entry(row) {
  const item = make("li");
  const link = make("a", way(row));
  link.href = linkOf(row);
  const name = make("span", "name");
  name.append(make("span", "sign", sign(row)), " ", make("b", "", texts[row.id]));
  const before = row.b ? `${percent(row.b.v)} → ` : "";
  link.append(name, make("span", "small score", `${before}${percent(row.a.v)} ${row.a.o}`),
    make("span", "small faint asked-line", `${texts[row.s]} × ${texts[row.c]}: ${texts[row.q].slice(0, 90)}`));
  item.append(link);
  return item;
}

function list(more) {
  const box = byId("case-list");
  if (!more) { box.replaceChildren(); state.listed = 0; }
  const next = state.shown.slice(state.listed, state.listed + PAGE);
  box.append(...next.map(entry));
  state.listed += next.length;
  byId("more").hidden = state.listed >= state.shown.length;
  mark();
}

function mark() {
  byId("case-list").querySelectorAll("[aria-current]").forEach((link) => link.removeAttribute("aria-current"));
  const link = byId("case-list").children[state.open]?.firstChild;
  if (!link) return;
  link.setAttribute("aria-current", "true");
  const box = byId("case-list").parentNode, place = link.getBoundingClientRect(), frame = box.getBoundingClientRect();
  if (place.top < frame.top) box.scrollTop += place.top - frame.top;  // the list moves, never the page
  else if (place.bottom > frame.bottom) box.scrollTop += place.bottom - frame.bottom;
}

function filter() {
  state.shown = matches();
  state.open = -1;
  byId("count").textContent = `${state.shown.length.toLocaleString("en")} of ${state.rows.length.toLocaleString("en")} cases`;
  list(false);
  if (state.shown.length) show(0, false); else byId("case-detail").replaceChildren(make("p", "faint", "No case fits."));
}

function show(place, focus) {
  if (place < 0 || place >= state.shown.length) return;
  state.open = place;
  while (state.listed <= place) list(true);
  byId("case-detail").replaceChildren(draw(state.shown[place]));
  mark();
  if (focus) {
    history.replaceState(null, "", linkOf(state.shown[place]));
    if (matchMedia("(max-width: 900px)").matches) byId("case-detail").querySelector("h3").focus();
  }
}

function follow() {
  if (!location.hash.startsWith("#case=")) return;
  const at = state.rows.findIndex((row) => linkOf(row) === location.hash);
  if (at < 0) return;
  let place = state.shown.indexOf(state.rows[at]);
  if (place < 0) {
    byId("filters").reset();
    filter();
    place = state.shown.indexOf(state.rows[at]);
  }
  show(place, true);
  byId("cases").scrollIntoView();
  byId("case-detail").querySelector("h3").focus({ preventScroll: true });
}

function options(select, values) {
  for (const value of [...new Set(values)].sort()) {
    const option = make("option", "", value);
    option.value = value;
    select.append(option);
  }
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && typing) { event.target.blur(); return; }
  if (typing) return;
  if (event.key === "/") { byId("search").focus(); event.preventDefault(); }
  else if (event.key === "j" || event.key === "ArrowRight") { show(state.open + 1, true); event.preventDefault(); }
  else if (event.key === "k" || event.key === "ArrowLeft") { show(state.open - 1, true); event.preventDefault(); }
}

function sortable(table) {
  table.querySelectorAll("thead th button").forEach((button, column) => {
    button.addEventListener("click", () => {
      const head = button.closest("th"), falls = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const value = (row) => row.children[column].dataset.value ?? row.children[column].textContent;
      const order = (a, b) => isNaN(a) || isNaN(b) ? String(a).localeCompare(String(b)) : a - b;
      const rows = [...table.tBodies[0].rows].sort((a, b) => order(value(a), value(b)) * (falls ? -1 : 1));
      table.tBodies[0].append(...rows);
    });
  });
}

async function start() {
  document.querySelectorAll("table.sortable").forEach(sortable);
  addEventListener("beforeprint", () => document.querySelectorAll("main details").forEach((d) => { d.open = true; }));
  const holder = byId("case-data");
  if (!holder) return;
  if (typeof DecompressionStream === "undefined") {
    byId("loading").textContent = "This browser is too old to unpack the cases: read them with  harness show RUN CASE.";
    return;
  }
  const data = await unpack(holder.textContent);
  texts = data.texts;
  state.rows = data.rows;
  for (const row of state.rows) {
    const sides = [row.a, row.b].filter(Boolean);
    row.all = [row.id, row.q, ...(row.e === undefined ? [] : [row.e]), ...row.t,
      ...sides.flatMap((side) => [...side.x, ...(side.w === undefined ? [] : [side.w])])];
  }
  options(byId("by-suite"), state.rows.map((row) => texts[row.s]));
  options(byId("by-checkpoint"), state.rows.map((row) => texts[row.c]));
  options(byId("by-outcome"), state.rows.map((row) => row.a.o));
  options(byId("by-tag"), state.rows.flatMap((row) => row.t.map((place) => texts[place])));
  byId("filters").addEventListener("input", filter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(filter));
  byId("more").addEventListener("click", () => list(true));
  byId("case-list").addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (!item || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show([...item.parentNode.children].indexOf(item), true);
  });
  addEventListener("keydown", keys);
  addEventListener("hashchange", follow);
  byId("loading").hidden = true;
  byId("browser").hidden = false;
  filter();
  follow();
  document.documentElement.dataset.ready = "true";
}
start();
})();
