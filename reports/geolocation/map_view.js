// The view and its drawing.
let view = { x: 0, y: 0, scale: 1 }, size = [1, 1], colours = {}, shown = photos, lines = new Path2D(), chosen = null;
let waiting = false, moved = false;  // moved: the view is the reader's own, not that of everything
const COLOURS = ["sea", "land", "border", "truth", "answer", "heat", "ink", "surface", "muted"];
const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };
const toScreen = ([x, y], turn = 0) =>
  [(x + turn * world - view.x) * view.scale + size[0] / 2, (y - view.y) * view.scale + size[1] / 2];
const toWorld = (x, y) => [(x - size[0] / 2) / view.scale + view.x, (y - size[1] / 2) / view.scale + view.y];
function turns() {
  const half = size[0] / 2 / view.scale, first = Math.floor((view.x - half) / world + .5);
  const last = Math.floor((view.x + half) / world + .5), found = [];
  // One more on each side: lines and cells may reach over the edge of their world.
  for (let turn = first - 1; turn <= last + 1 && found.length < 7; turn++) found.push(turn);
  return found;
}
const heatOf = (share, most) => .1 + .9 * Math.sqrt(share / most);

function draw() {
  waiting = false;
  const dpr = devicePixelRatio || 1, pixel = 1 / view.scale;
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.fillStyle = colours.sea;
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  for (const turn of turns()) {
    const k = dpr * view.scale, [x, y] = toScreen([0, 0], turn);
    ctx.setTransform(k, 0, 0, k, x * dpr, y * dpr);
    ctx.lineJoin = "round";
    ctx.fillStyle = colours.land;
    for (const { path } of lands.length ? lands : shapes) ctx.fill(path, "evenodd");
    if (background?.complete) drawBackground();
    ctx.strokeStyle = colours.border;
    ctx.lineWidth = .7 * pixel;
    ctx.stroke(coasts);
    if (chosen) drawHeat();
    ctx.globalAlpha = background ? .25 : lands.length ? .75 : 1;
    ctx.stroke(borders);
    ctx.strokeStyle = colours.ink;
    ctx.globalAlpha = .3 * Math.min(1, 40 / Math.sqrt(shown.length + 1));
    ctx.lineWidth = pixel;
    if (!chosen) ctx.stroke(lines);
    ctx.globalAlpha = 1;
  }
  ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  for (const turn of turns()) {
    ctx.globalAlpha = chosen ? .16 : 1;
    for (const photo of shown) if (photo !== chosen) drawMarks(photo, turn, shown.length > 1500 ? 2.2 : 3.2);
    ctx.globalAlpha = 1;
    if (chosen) drawChosen(turn, dpr);
  }
  drawScale();
}
function drawHeat() {
  const most = chosen.probability[0] || 1;
  ctx.fillStyle = colours.heat;
  chosen.top.forEach((cell, rank) => {
    const shape = shapes[shapeOf.get(cell)];
    ctx.globalAlpha = heatOf(chosen.probability[rank], most) * (background ? .7 : 1);
    if (shape) ctx.fill(shape.path, "evenodd");
  });
  ctx.globalAlpha = 1;
}
function drawMarks({ marks: [truth, answer] }, turn, radius) {
  const inside = ([x, y]) => x > -20 && y > -20 && x < size[0] + 20 && y < size[1] + 20;
  ctx.strokeStyle = colours.surface;
  ctx.lineWidth = radius > 4 ? 2 : .8;
  const at = answer && toScreen(answer, turn), from = truth && toScreen(truth, turn);
  if (at && inside(at)) {
    const side = radius * 1.3;
    ctx.fillStyle = colours.answer;
    ctx.beginPath();
    ctx.moveTo(at[0] - side, at[1]); ctx.lineTo(at[0], at[1] - side);
    ctx.lineTo(at[0] + side, at[1]); ctx.lineTo(at[0], at[1] + side);
    ctx.closePath(); ctx.fill(); ctx.stroke();
  }
  if (from && inside(from)) {
    ctx.fillStyle = colours.truth;
    ctx.beginPath(); ctx.arc(...from, radius, 0, TAU); ctx.fill(); ctx.stroke();
  }
}
function drawChosen(turn, dpr) {
  if (chosen.line) {
    const k = dpr * view.scale, [x, y] = toScreen([0, 0], turn);
    ctx.setTransform(k, 0, 0, k, x * dpr, y * dpr);
    ctx.strokeStyle = colours.ink;
    ctx.lineWidth = 1.8 / view.scale;
    ctx.stroke(chosen.line);
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  }
  drawMarks(chosen, turn, 7);
}
function drawScale() {
  const latitude = 2 * Math.atan(Math.exp((centre - view.y / unit) * TAU / 360)) - TAU / 4;
  const kmPerPixel = KM_PER_DEGREE * Math.cos(latitude) / unit / view.scale, most = 110 * kmPerPixel;
  const power = 10 ** Math.floor(Math.log10(most)), step = [5, 2, 1].find(own => own * power <= most) * power;
  $("#scale").textContent = kilometres(step);
  $("#scale").style.width = step / kmPerPixel + "px";
}
function zoom(factor, x = size[0] / 2, y = size[1] / 2) {
  const before = toWorld(x, y);
  moved = true;
  view.scale = Math.min(Math.max(view.scale * factor, .2 * fitted()), 3000 * fitted());
  const after = toWorld(x, y);
  view.x += before[0] - after[0]; view.y += before[1] - after[1];
  redraw();
}
const LEGEND = 56;  // pixels at the bottom that the legend covers
const fitted = () => Math.min(size[0] / ((east - west) * unit), (size[1] - LEGEND) / ((mercator(north) - mercator(south)) * unit));
const showAll = () => { view = { x: 0, y: LEGEND / 2 / fitted(), scale: fitted() }; moved = false; redraw(); };
function pan(dx, dy) { moved = true; view.x -= dx / view.scale; view.y -= dy / view.scale; redraw(); }
function resize() {
  const dpr = devicePixelRatio || 1;
  size = [canvas.clientWidth, canvas.clientHeight];
  [canvas.width, canvas.height] = size.map(side => Math.round(side * dpr));
  moved ? redraw() : showAll();
}
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of COLOURS) colours[name] = style.getPropertyValue("--" + name).trim();
  redraw();
}
