// Filter, list, details, pointer and keys.
function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
function picture(photo) {
  const image = element("img");
  image.alt = ""; image.src = photo.thumbnail;
  return image;
}
const kilometres = km => km === 0 ? "0 km" : km < 1 ? `${Math.round(km * 1000)} m`
  : `${km < 10 ? +km.toFixed(1) : Math.round(km).toLocaleString("en")} km`;
const errorOf = ({ error, answer }) => known(error) ? kilometres(error) : answer ? "unknown" : "no answer";
const errors = photos.map(photo => photo.error).filter(known).sort((a, b) => a - b);
const low = Math.max(errors.find(error => error > 0) ?? 1, 1e-3), high = Math.max(errors.at(-1) ?? 1, 2 * low);
const errorAt = value => value <= 0 ? 0 : value >= 100 ? Infinity : low * (high / low) ** (value / 100);
const least = $("#least"), most = $("#most"), search = $("input[type=search]"), order = $("select"), list = $("#list");
const BINS = 40, bars = Array.from({ length: BINS }, () => $("#histogram").appendChild(element("i")));
const binOf = error => Math.min(BINS - 1, Math.max(0, Math.floor(BINS * Math.log(error / low) / Math.log(high / low))));
const counts = bars.map((_, bin) => errors.filter(error => binOf(error) === bin).length);
bars.forEach((bar, bin) => bar.style.height = 100 * counts[bin] / Math.max(...counts, 1) + "%");

function update() {
  const [from, to] = [errorAt(+least.value), errorAt(+most.value)], words = search.value.toLowerCase().split(/\s+/);
  const open = +least.value <= 0 && +most.value >= 100;
  shown = photos.filter(({ error, words: own }) =>
    (known(error) ? error >= from && error <= to : open) && words.every(word => own.includes(word)));
  const number = photo => known(photo.error) ? photo.error : order.value === "worst" ? -1 : Infinity;
  const compare = { worst: (a, b) => number(b) - number(a), best: (a, b) => number(a) - number(b) || 0,
    name: (a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0 };
  shown.sort(compare[order.value]);
  lines = new Path2D();
  for (const { line } of shown) if (line) lines.addPath(line);
  $("#least + output").textContent = kilometres(from);
  $("#most + output").textContent = to === Infinity ? kilometres(high) : kilometres(to);
  bars.forEach((bar, bin) => bar.classList.toggle("in", +least.value < (bin + 1) * 100 / BINS && +most.value > bin * 100 / BINS));
  const middles = shown.map(photo => photo.error).filter(known).sort((a, b) => a - b), half = middles.length >> 1;
  const median = middles.length % 2 ? middles[half] : (middles[half - 1] + middles[half]) / 2;
  const sampled = data.total > photos.length ? ` (drawn from ${data.total.toLocaleString("en")})` : "";
  $("#shown").textContent = `${shown.length} of ${photos.length} photos${sampled}`
    + (middles.length ? `, median error ${kilometres(median)}` : "");
  list.replaceChildren(...shown.map(listItem));
  redraw();
}
function listItem(photo) {
  if (!photo.item) {
    photo.item = element("button");
    if (photo.thumbnail) photo.item.append(picture(photo));
    photo.item.append(element("span", "path", photo.name), element("span", "number", errorOf(photo)));
    photo.item.title = photo.path;
    photo.item.onclick = () => choose(photo);
  }
  return photo.item;
}
function choose(photo, focus = false) {
  chosen?.item?.removeAttribute("aria-current");
  chosen = photo;
  $("#photo").hidden = !photo;
  $("#heat").hidden = !photo?.probability.length;
  history.replaceState(null, "", photo ? `#photo=${photo.row}` : location.pathname + location.search);
  if (photo) {
    listItem(photo).setAttribute("aria-current", true);
    const share = 100 * (photo.probability[0] ?? 0);
    $("#heat span").textContent = `${share.toFixed(share < 1 ? 1 : 0)} %`;
    showDetails(photo);
    makeVisible(photo);
    if (focus) photo.item.focus();
  }
  redraw();
}
function makeVisible(photo) {
  const marks = photo.marks.filter(Boolean);
  const visible = marks.every(mark => turns().some(turn => {
    const [x, y] = toScreen(mark, turn);
    return x > 12 && y > 12 && x < size[0] - 12 && y < size[1] - LEGEND;
  }));
  if (visible || !marks.length) return;
  moved = true;
  const [xs, ys] = [0, 1].map(axis => marks.map(mark => mark[axis]));
  const [width, height] = [xs, ys].map(own => Math.max(...own) - Math.min(...own));
  view = { x: (Math.max(...xs) + Math.min(...xs)) / 2, y: (Math.max(...ys) + Math.min(...ys)) / 2,
    scale: Math.min(view.scale, .75 * size[0] / Math.max(width, 1e-9), .75 * size[1] / Math.max(height, 1e-9)) };
}
const MOST_ROWS = 20;
function showDetails(photo) {
  const bar = element("div", "bar"), table = element("table");
  bar.append(element("b", "", known(photo.error) ? `${kilometres(photo.error)} off` : photo.answer ? "true position unknown" : "no answer"));
  for (const [text, name, act] of [["‹", "Previous photo", () => step(-1)], ["›", "Next photo", () => step(1)], ["×", "Close", () => choose(null)]]) {
    const button = element("button", "", text);
    button.setAttribute("aria-label", name); button.title = name; button.onclick = act;
    bar.append(button);
  }
  photo.top.slice(0, MOST_ROWS).forEach((cell, rank) => {
    const row = element("tr"), graph = element("td"), fill = element("i"), share = photo.probability[rank];
    fill.style.width = `${100 * share / (photo.probability[0] || 1)}%`;
    fill.style.opacity = heatOf(share, photo.probability[0] || 1);
    graph.append(fill);
    row.append(element("td", cell === photo.cell ? "is-true" : "", cellName(cell)), graph, element("td", "n", `${(100 * share).toFixed(1)} %`));
    table.append(row);
  });
  const where = element("div"), sum = photo.probability.reduce((total, share) => total + share, 0);
  where.append("in ", element("span", "is-true", cellName(photo.cell)), photo.label ? ` (${photo.label})` : "");
  const share = `${photo.top.length} of ${cells.count.toLocaleString("en")} cells have ${(100 * sum).toFixed(0)} % of the probability:`;
  $("#photo").replaceChildren(bar, ...(photo.thumbnail ? [picture(photo)] : []), element("div", "path muted", photo.path),
    where, ...(photo.top.length ? [element("div", "muted", share), table] : []));
}
const step = by => shown.length && choose(shown[Math.min(shown.length - 1, Math.max(0, shown.indexOf(chosen) + by))]);

// --- pointer and keys
function photoAt(x, y) {
  let best = null, bestDistance = 10;
  const places = turns().map(turn => toWorld(x, y).map((own, axis) => axis ? own : own - turn * world));
  for (const photo of chosen ? [chosen, ...shown] : shown) for (const mark of photo.marks) if (mark) {
    for (const [px, py] of places) {
      const distance = Math.hypot(mark[0] - px, mark[1] - py) * view.scale;
      if (distance < bestDistance) [best, bestDistance] = [photo, distance];
    }
  }
  return best;
}
function cellAt(x, y) {
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  let [wx, wy] = toWorld(x, y);
  for (const turn of turns()) {
    const own = wx - turn * world;
    const found = shapes.findIndex(({ path, box }) => own >= box[0] && own <= box[2] && wy >= box[1] && wy <= box[3]
      && ctx.isPointInPath(path, own, wy, "evenodd"));
    if (found >= 0) return found;
  }
  return -1;
}
function hover(x, y) {
  const photo = photoAt(x, y), cell = photo ? -1 : cellAt(x, y);
  tip.hidden = !photo && cell < 0;
  canvas.style.cursor = photo ? "pointer" : "";
  if (tip.hidden) return;
  tip.replaceChildren(...(photo?.thumbnail ? [picture(photo)] : []));
  tip.append(photo ? `${photo.name}: ${errorOf(photo)}`
    : cells.images ? `${cells.name[cell]}: ${cells.images[cell].toLocaleString("en")} training photos` : cells.name[cell]);
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  tip.style.left = Math.max(4, Math.min(x + 14, size[0] - width - 4)) + "px";
  tip.style.top = (y + 18 + height > size[1] ? Math.max(4, y - height - 10) : y + 18) + "px";
}
const pointers = new Map();
let travelled = 0;
const spread = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
canvas.onpointerdown = event => {
  canvas.setPointerCapture(event.pointerId);
  if (!pointers.size) travelled = 0;
  pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
};
canvas.onpointermove = event => {
  const last = pointers.get(event.pointerId), now = [event.offsetX, event.offsetY];
  if (!last) { if (event.pointerType === "mouse") hover(...now); return; }
  const before = pointers.size === 2 ? spread() : 0;
  pointers.set(event.pointerId, now);
  tip.hidden = true;
  travelled += Math.hypot(now[0] - last[0], now[1] - last[1]);
  pan((now[0] - last[0]) / pointers.size, (now[1] - last[1]) / pointers.size);
  if (before) {
    const [a, b] = [...pointers.values()];
    zoom(spread() / before, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
  }
};
canvas.onpointerup = event => {
  pointers.delete(event.pointerId);
  if (travelled < 6 && !pointers.size) choose(photoAt(event.offsetX, event.offsetY));
};
canvas.onpointercancel = event => pointers.delete(event.pointerId);
canvas.onpointerleave = () => tip.hidden = true;
canvas.addEventListener("wheel", event => {
  event.preventDefault();
  zoom(2 ** (-event.deltaY * (event.deltaMode ? 20 : 1) / 300), event.offsetX, event.offsetY);
}, { passive: false });
canvas.onkeydown = event => {
  const by = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
  if (by) { event.preventDefault(); pan(...by); }
};
list.onkeydown = event => {
  const by = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (by) { event.preventDefault(); document.activeElement[by]?.focus(); }
};
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === search || event.target === order) return;
  const acts = { "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: showAll,
    n: () => step(1), p: () => step(-1), escape: () => choose(null) };
  acts[event.key.toLowerCase()]?.();
});
$("#in").onclick = () => zoom(1.5);
$("#out").onclick = () => zoom(1 / 1.5);
$("#all").onclick = showAll;
least.oninput = () => { most.value = Math.max(+most.value, +least.value); update(); };
most.oninput = () => { least.value = Math.min(+most.value, +least.value); update(); };
search.oninput = order.onchange = update;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
new ResizeObserver(resize).observe(canvas);

document.title = $("h1").textContent = data.title;
readColours();
resize();
update();
const linked = photos.find(photo => location.hash === `#photo=${photo.row}`);
if (linked) choose(linked);
