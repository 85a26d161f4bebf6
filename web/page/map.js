"use strict";
// A map in the web's Mercator projection, drawn from outlines; its units are degrees of longitude.
const TAU = 2 * Math.PI, KM_PER_DEGREE = 111.195, LEAST_DEGREES = .002, PAD = 70;
const mercator = latitude => {
  const phi = Math.max(-85.05, Math.min(85.05, latitude)) * TAU / 720;
  return -Math.log(Math.tan(TAU / 8 + phi)) * 360 / TAU;
};
const latitudeOf = y => (2 * Math.atan(Math.exp(-y * TAU / 360)) - TAU / 4) * 360 / TAU;
const kilometres = km => km >= 1 ? `${km} km` : `${Math.round(km * 1000)} m`;

class AnswerMap {
  constructor(canvas, scale) {
    Object.assign(this, { canvas, scaleBar: scale, ctx: canvas.getContext("2d"), layers: [], answers: [], cells: [], towns: [], home: [], below: null });
    Object.assign(this, { view: { x: 0, y: 0, k: 1 }, size: [1, 1], chosen: -1, moved: false, waiting: false, colours: {} });
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.readColours());
    this.readColours();
    this.listen();
  }
  setOutlines(layers) {
    this.layers = layers.map(({ names, labels, scale, outlines }) => {
      const path = new Path2D(), borders = new Path2D();
      for (const ring of outlines.flat()) {
        const corners = [];
        for (let i = 0, x = 0, y = 0; i < ring.length; i += 2) corners.push([(x += ring[i]) / scale, (y += ring[i + 1]) / scale]);
        corners.forEach(([lon, lat], i) => {
          const last = corners.at(i - 1), at = [lon, mercator(lat)];
          // Sides along the antimeridian and at the poles are cuts, no borders.
          if (!(Math.abs(lon) === 180 && lon === last[0]) && Math.abs(lat + last[1]) < 179.9) {
            borders.moveTo(last[0], mercator(last[1]));
            borders.lineTo(...at);
          }
          path[i ? "lineTo" : "moveTo"](...at);
        });
        path.closePath();
      }
      const sizes = outlines.map(rings => Math.max(0, ...rings.map(ring => this.widthOf(ring) / scale)));
      return { names, path, borders, sizes, labels: labels.map(([lon, lat]) => [lon, mercator(lat)]) };
    });
    const { labels } = layers.at(-1);
    // A country of its own is shown first; otherwise the world.
    if (!this.below) this.home = layers.length > 1 ? labels.map(([lon, lat]) => [lon, mercator(lat)]) : [];
    this.moved || this.fit();
  }
  setBackground(address, [west, south, east, north]) {
    const image = new Image(), [top, bottom] = [mercator(north), mercator(south)];
    image.onload = () => this.redraw();
    image.src = address;
    this.below = { image, box: [west, top, east - west, bottom - top] };
    this.home = [[west, bottom], [east, top]];
    this.moved || this.fit();
  }
  widthOf(ring) {
    let x = 0, least = Infinity, most = -Infinity;
    for (let i = 0; i < ring.length; i += 2) { x += ring[i]; least = Math.min(least, x); most = Math.max(most, x); }
    return most - least;
  }
  show({ answers, cells, towns }) {
    // Positions across the antimeridian are drawn next to the first one.
    const first = answers[0]?.longitude ?? 0, near = lon => lon + 360 * Math.round((first - lon) / 360);
    const at = own => [near(own.longitude), mercator(own.latitude)];
    this.answers = answers.map(at);
    this.towns = towns.map(town => ({ name: town.name, at: at(town) }));
    const most = Math.max(0, ...cells.map(cell => cell.probability)) || 1;
    this.cells = cells.map(({ probability, outline }) => {
      const path = new Path2D();
      for (const polygon of outline) {
        const turn = near(polygon[0][0][0]) - polygon[0][0][0];
        for (const ring of polygon) {
          ring.forEach(([lon, lat], i) => path[i ? "lineTo" : "moveTo"](lon + turn, mercator(lat)));
          path.closePath();
        }
      }
      return { path, share: Math.sqrt(probability / most) };
    });
    this.chosen = answers.length ? 0 : -1;
    answers.length ? this.fit() : this.redraw();
  }
  choose(rank) {
    this.chosen = rank;
    const [x, y] = this.toScreen(this.answers[rank]);
    if (x < 30 || y < 30 || x > this.size[0] - 30 || y > this.size[1] - 60) [this.view.x, this.view.y] = this.answers[rank];
    this.redraw();
  }
  fit() {
    this.moved = false;
    const [width, height] = this.size, shown = this.answers.length ? this.answers : this.home;
    const xs = shown.map(own => own[0]), ys = shown.map(own => own[1]);
    if (!xs.length) {
      this.view = { x: 0, y: mercator(30), k: Math.max(width / 360, height / 260) };
      return this.redraw();
    }
    const [west, east, north, south] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const wide = Math.max(east - west, LEAST_DEGREES), high = Math.max(south - north, LEAST_DEGREES);
    const k = Math.min((width - 2 * PAD) / wide, (height - 2 * PAD) / high);
    this.view = { x: (west + east) / 2, y: (north + south) / 2, k: Math.max(k, .3) };
    this.redraw();
  }
  toScreen([x, y], turn = 0) {
    return [(x + 360 * turn - this.view.x) * this.view.k + this.size[0] / 2, (y - this.view.y) * this.view.k + this.size[1] / 2];
  }
  zoom(factor, x = this.size[0] / 2, y = this.size[1] / 2) {
    const { view, size } = this, k = Math.min(Math.max(view.k * factor, .3), 3e6);
    const [dx, dy] = [x - size[0] / 2, y - size[1] / 2];
    view.x += dx / view.k - dx / k; view.y += dy / view.k - dy / k; view.k = k;
    this.moved = true;
    this.redraw();
  }
  pan(dx, dy) {
    this.view.x -= dx / this.view.k; this.view.y -= dy / this.view.k;
    this.view.y = Math.max(-180, Math.min(180, this.view.y));
    this.moved = true;
    this.redraw();
  }
  resize() {
    this.size = [this.canvas.clientWidth, this.canvas.clientHeight];
    [this.canvas.width, this.canvas.height] = this.size.map(side => Math.round(side * (devicePixelRatio || 1)));
    this.moved ? this.redraw() : this.fit();
  }
  readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["sea", "land", "border", "answer", "heat", "ink", "surface", "muted"])
      this.colours[name] = style.getPropertyValue("--" + name).trim();
    this.redraw();
  }
  redraw() {
    if (!this.waiting) { this.waiting = true; requestAnimationFrame(() => { this.waiting = false; this.draw(); }); }
  }
  turns() {
    const half = this.size[0] / 2 / this.view.k, first = Math.round((this.view.x - half) / 360) - 1, found = [];
    for (let turn = first; turn <= (this.view.x + half) / 360 + 1.5 && found.length < 7; turn++) found.push(turn);
    return found;
  }
  draw() {
    const { ctx, colours, view, size } = this, dpr = devicePixelRatio || 1, k = dpr * view.k;
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colours.sea;
    ctx.fillRect(0, 0, ...size);
    ctx.lineJoin = "round";
    for (const turn of this.turns()) {
      const [x, y] = this.toScreen([0, 0], turn);
      ctx.setTransform(k, 0, 0, k, x * dpr, y * dpr);
      ctx.fillStyle = colours.land;
      for (const { path } of this.layers) ctx.fill(path, "evenodd");
      if (this.below?.image.complete) ctx.drawImage(this.below.image, ...this.below.box);
      ctx.fillStyle = colours.heat;
      for (const { path, share } of this.cells) { ctx.globalAlpha = .6 * share; ctx.fill(path, "evenodd"); }
      ctx.globalAlpha = 1;
      ctx.strokeStyle = colours.border;
      ctx.lineWidth = .8 / view.k;
      for (const { borders } of this.layers) ctx.stroke(borders);
    }
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    this.drawNames();
    for (const turn of this.turns()) {
      for (let rank = this.answers.length - 1; rank >= 0; rank--) if (rank !== this.chosen) this.drawAnswer(rank, turn);
      if (this.chosen >= 0) this.drawAnswer(this.chosen, turn);
    }
    this.drawScale();
  }
  drawNames() {
    const { ctx, colours, view } = this, taken = [];
    const free = box => !taken.some(own => box[0] < own[2] && own[0] < box[2] && box[1] < own[3] && own[1] < box[3]);
    const write = (text, x, y, font) => {
      if (x < -80 || y < -20 || x > this.size[0] + 80 || y > this.size[1] + 20) return;
      ctx.font = font;
      const half = ctx.measureText(text).width / 2, box = [x - half - 3, y - 9, x + half + 3, y + 9];
      if (!free(box)) return;
      taken.push(box);
      ctx.lineWidth = 3;
      ctx.strokeStyle = colours.surface;
      ctx.globalAlpha = .8; ctx.strokeText(text, x, y); ctx.globalAlpha = 1;
      ctx.fillText(text, x, y);
    };
    ctx.textAlign = "center"; ctx.textBaseline = "middle";
    for (const turn of this.turns()) {
      for (const own of this.answers) { const [x, y] = this.toScreen(own, turn); taken.push([x - 12, y - 32, x + 12, y + 2]); }
      ctx.fillStyle = colours.ink;
      if (view.k > 40) for (const { name, at } of this.towns) {
        const [x, y] = this.toScreen(at, turn);
        ctx.beginPath(); ctx.arc(x, y, 2.5, 0, TAU); ctx.fill();
        write(name, x, y - 11, "12px system-ui, sans-serif");
      }
      ctx.fillStyle = colours.muted;
      for (const layer of [...this.layers].reverse()) layer.names.forEach((name, i) => {
        if (layer.sizes[i] * view.k > 7 * name.length) write(name, ...this.toScreen(layer.labels[i], turn), "12px system-ui, sans-serif");
      });
    }
  }
  drawAnswer(rank, turn) {
    const { ctx, colours } = this, [x, y] = this.toScreen(this.answers[rank], turn), big = rank === this.chosen;
    if (x < -40 || y < -40 || x > this.size[0] + 40 || y > this.size[1] + 60) return;
    const r = big ? 13 : 10, up = 2.2 * r;
    ctx.beginPath();
    ctx.arc(x, y - up, r, TAU * .4, TAU * .1);
    ctx.lineTo(x, y);
    ctx.closePath();
    ctx.fillStyle = colours.answer; ctx.strokeStyle = colours.surface; ctx.lineWidth = 2;
    ctx.stroke(); ctx.fill();
    ctx.fillStyle = colours.surface; ctx.textAlign = "center"; ctx.textBaseline = "middle";
    ctx.font = `700 ${big ? 14 : 11}px system-ui, sans-serif`;
    ctx.fillText(rank + 1, x, y - up + .5);
  }
  drawScale() {
    const kmPerPixel = KM_PER_DEGREE * Math.cos(latitudeOf(this.view.y) * TAU / 360) / this.view.k, most = 150 * kmPerPixel;
    const power = 10 ** Math.floor(Math.log10(most)), step = [5, 2, 1].find(own => own * power <= most) * power;
    this.scaleBar.textContent = kilometres(Number(step.toPrecision(1)));
    this.scaleBar.style.width = step / kmPerPixel + "px";
  }
  listen() {
    const { canvas } = this, down = new Map();
    const spread = () => { const [a, b] = [...down.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
    canvas.addEventListener("pointerdown", event => {
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, [event.offsetX, event.offsetY]);
    });
    canvas.addEventListener("pointermove", event => {
      const last = down.get(event.pointerId);
      if (!last) return;
      const before = down.size === 2 && spread();
      down.set(event.pointerId, [event.offsetX, event.offsetY]);
      if (before) {
        const [a, b] = [...down.values()];
        this.zoom(spread() / before, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      }
      this.pan((event.offsetX - last[0]) / down.size, (event.offsetY - last[1]) / down.size);
    });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, event => down.delete(event.pointerId));
    canvas.addEventListener("wheel", event => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.pan(60, 0), ArrowRight: () => this.pan(-60, 0), ArrowUp: () => this.pan(0, 60),
      ArrowDown: () => this.pan(0, -60), "+": () => this.zoom(1.4), "=": () => this.zoom(1.4), "-": () => this.zoom(1 / 1.4),
      0: () => this.fit(),
    };
    canvas.addEventListener("keydown", event => {
      if (keys[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); keys[event.key](); }
    });
  }
}
