"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = selector => document.querySelector(selector);
const canvas = $("canvas"), ctx = canvas.getContext("2d"), tip = $("#tip");
const { cells, photos: columns, bounds: [west, south, east, north] } = data;
const KM_PER_DEGREE = 111.195, SIDES = 64, TAU = 2 * Math.PI;

// The web's Mercator projection, in units of a thousandth of the map's width, from its middle.
const mercator = degrees => {
  const phi = Math.max(-85.05, Math.min(85.05, degrees)) * TAU / 720;
  return Math.log(Math.tan(TAU / 8 + phi)) * 360 / TAU;
};
const middle = (west + east) / 2, centre = (mercator(south) + mercator(north)) / 2;
const unit = 1000 / Math.max(east - west, mercator(north) - mercator(south));
const world = 360 * unit;
const toX = longitude => (longitude - middle) * unit, toY = latitude => (centre - mercator(latitude)) * unit;
const near = longitude => longitude + 360 * Math.round((middle - longitude) / 360);

// --- what is drawn, as paths in these units
function pathOf(rings, scale, borders) {
  const path = new Path2D(), box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    let x = 0, y = 0, drawn = false;
    const corners = [];
    for (let i = 0; i < ring.length; i += 2) corners.push([x += ring[i], y += ring[i + 1]]);
    corners.forEach(([lon, lat], i) => {
      const [px, py] = [toX(lon / scale), toY(lat / scale)], [lastLon, lastLat] = corners.at(i - 1);
      i ? path.lineTo(px, py) : path.moveTo(px, py);
      box[0] = Math.min(box[0], px); box[1] = Math.min(box[1], py);
      box[2] = Math.max(box[2], px); box[3] = Math.max(box[3], py);
      // Edges along the antimeridian and at the poles are cuts, not borders.
      const cut = (lon === lastLon && Math.abs(lon) === 180 * scale) || (Math.abs(lat) === 90 * scale && lat === lastLat);
      if (!cut && !drawn) borders.moveTo(toX(lastLon / scale), toY(lastLat / scale));
      if (!cut) borders.lineTo(px, py);
      drawn = !cut;
    });
    path.closePath();
  }
  return { path, box };
}
const borders = new Path2D(), coasts = new Path2D();
const shapes = cells.outline.map(rings => pathOf(rings, cells.scale, borders));
const lands = data.land.map(rings => pathOf(rings, 100, coasts));
const shapeOf = new Map(cells.number.map((number, position) => [number, position]));
const cellName = cell => shapeOf.has(cell) ? cells.name[shapeOf.get(cell)] : cell < 0 ? "no cell" : `cell ${cell}`;

const background = data.background && new Image();
if (background) { background.onload = () => redraw(); background.src = data.background.url; }
function drawBackground() {
  const [left, bottom, right, top] = data.background.bounds, x = toX(left), y = toY(top);
  ctx.drawImage(background, x, y, toX(right) - x, toY(bottom) - y);
}
const vector = (lat, lon) => {
  const [phi, lambda] = [lat * TAU / 360, lon * TAU / 360];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
};
function greatCircle(photo) {
  const [from, to] = [vector(...photo.truth), vector(...photo.answer)];
  const angle = Math.acos(Math.max(-1, Math.min(1, from[0] * to[0] + from[1] * to[1] + from[2] * to[2])));
  const count = Math.max(1, Math.min(SIDES, Math.ceil(angle * 30))), path = new Path2D();
  let last = near(photo.truth[1]);
  path.moveTo(toX(last), toY(photo.truth[0]));
  for (let i = 1; i <= count; i++) {
    const [a, b] = angle < 1e-6 ? [0, 1] : [Math.sin((1 - i / count) * angle), Math.sin(i / count * angle)];
    const [x, y, z] = from.map((value, axis) => a * value + b * to[axis]);
    const longitude = Math.atan2(y, x) * 360 / TAU;
    last = longitude + 360 * Math.round((last - longitude) / 360);
    path.lineTo(toX(last), toY(Math.atan2(z, Math.hypot(x, y)) * 360 / TAU));
  }
  photo.end = last;
  return path;
}
const known = value => value !== null && value !== undefined;
const place = (lat, lon) => known(lat) && known(lon) ? [lat, lon] : null;
const labels = ["country", "region", "sub_region", "city"].filter(name => columns[name]);
const photos = columns.path.map((path, i) => {
  const photo = {
    i, path, row: columns.row[i], name: path.replace(/^.*[/\\]/s, ""), error: columns.error[i],
    truth: place(columns.latitude[i], columns.longitude[i]),
    answer: place(columns.predicted_latitude[i], columns.predicted_longitude[i]),
    cell: columns.cell[i], predicted: columns.predicted[i], top: columns.top[i] ?? [],
    probability: columns.probability[i] ?? [], label: labels.map(name => columns[name][i]).filter(Boolean).join(", "),
    thumbnail: data.thumbnails[i],
  };
  photo.words = `${path} ${cellName(photo.cell)} ${photo.label}`.toLowerCase();
  photo.line = photo.truth && photo.answer ? greatCircle(photo) : null;
  photo.marks = [photo.truth, photo.answer].map((mark, which) =>
    mark && [toX(which && photo.line ? photo.end : near(mark[1])), toY(mark[0])]);
  return photo;
});
