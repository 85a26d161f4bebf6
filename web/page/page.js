"use strict";
const $ = selector => document.querySelector(selector);
const map = new AnswerMap($("canvas"), $("#scale"));
const TYPES = ["image/jpeg", "image/png", "image/webp"], TRIES = 5, PATIENCE = 60_000;
let info = { max_bytes: Infinity }, current = null, plainUrl = null, heatUrl = null;

const wait = ms => new Promise(done => setTimeout(done, ms));
const percent = share => share >= .01 ? `${Math.round(share * 100)} %` : "< 1 %";
const degrees = ({ latitude, longitude }) =>
  `${Math.abs(latitude).toFixed(4)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude).toFixed(4)}° ${longitude < 0 ? "W" : "E"}`;

// --- states of the page
function say(text, working = false) {
  $("#status").textContent = text;
  $("#status").classList.toggle("working", working);
}
function fail(text) {
  say("");
  $("#error").textContent = text;
  $("#error").hidden = false;
}
function clear() {
  $("#error").hidden = true;
  $("#answers").replaceChildren();
  $("#seconds").textContent = "";
  $("#attention").hidden = true;
  $("#attention").setAttribute("aria-pressed", "false");
  $("#attention").textContent = "Show what the network looked at";
  $("#heat").hidden = true;
  for (const url of [plainUrl, heatUrl]) if (url) URL.revokeObjectURL(url);
  plainUrl = heatUrl = null;
  map.show({ answers: [], cells: [], towns: [] });
}

// --- the server
async function ask(address, photo, signal) {
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(address, {
      method: "POST", body: photo, headers: { "Content-Type": photo.type || "application/octet-stream" }, signal,
    });
    if (answer.ok) return answer;
    if (answer.status !== 503 || attempt === TRIES)
      throw new Error((await answer.json().catch(() => ({}))).detail ?? "The server is busy. Please try again in a few seconds.");
    const seconds = Number(answer.headers.get("Retry-After")) || 2;
    say(`The server is busy; trying again (${attempt + 1} of ${TRIES}) …`, true);
    await wait(1000 * seconds * (.75 + Math.random() / 2));
    if (signal.aborted) return answer;
  }
}
async function locate(photo) {
  if (!photo) return;
  current?.abort();
  const own = current = new AbortController();
  const timer = setTimeout(() => own.abort("late"), PATIENCE);
  clear();
  $("figure").hidden = true;
  if (photo.type && !TYPES.includes(photo.type)) return fail("Only photos in JPEG, PNG or WebP can be read.");
  if (photo.size > info.max_bytes) return fail(`The file is too large; at most ${info.max_bytes / 1e6} MB are read.`);
  plainUrl = URL.createObjectURL(photo);
  $("#photo").src = plainUrl;
  $("#photo").alt = "Your photo";
  $("figure").hidden = false;
  say("Looking …", true);
  try {
    const answer = await ask("/api/locate", photo, own.signal), found = await answer.json();
    if (own === current && answer.ok) show(found, photo);
  } catch (error) {
    if (own === current) fail(reason(error, own.signal));
  } finally {
    clearTimeout(timer);
  }
}
function reason(error, signal) {
  if (signal.reason === "late") return "There was no answer in time. Please try again.";
  return error instanceof TypeError ? "The server cannot be reached." : error.message;
}

// --- answers
function show(found, photo) {
  map.show(found);
  $("#heat").hidden = !found.cells.length;
  if (!found.answers.length) return say("The network has no answer for this photo.");
  const [{ place, probability }] = found.answers;
  say(probability === null ? `Best answer: ${place}` : `Best answer: ${place} (${percent(probability)})`);
  $("#answers").replaceChildren(...found.answers.map(entry));
  $("#answers button").setAttribute("aria-pressed", "true");
  $("#seconds").textContent = `Computed in ${found.seconds.toFixed(2)} s`;
  $("#attention").hidden = !info.attention;
  $("#attention").onclick = () => toggleAttention(photo);
}
function element(name, kind, text = "") {
  return Object.assign(document.createElement(name), { className: kind, textContent: text });
}
function entry(answer, rank) {
  const item = document.createElement("li"), button = Object.assign(document.createElement("button"), { type: "button" });
  const share = answer.probability ?? answer.similarity;
  const words = answer.probability === null ? `similarity ${answer.similarity?.toFixed(2) ?? "unknown"}` : percent(share);
  button.append(element("span", "rank", rank + 1), element("span", "place", answer.place), element("span", "share", words));
  const facing = answer.heading === null ? "" : `, facing ${Math.round(answer.heading)}°`;
  button.append(element("span", "where", degrees(answer) + facing));
  if (answer.probability !== null) {
    const bar = element("span", "bar"), filled = document.createElement("i");
    filled.style.width = `${100 * share}%`;
    bar.append(filled);
    button.append(bar);
  }
  if (answer.picture) {
    const picture = Object.assign(new Image(), { src: answer.picture, alt: `Database picture ${answer.name}` });
    picture.addEventListener("error", () => picture.remove());
    button.append(picture);
  }
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("#answers button")) other.setAttribute("aria-pressed", other === button);
    map.choose(rank);
  });
  item.append(button);
  return item;
}
async function toggleAttention(photo) {
  const button = $("#attention"), own = current, shown = button.getAttribute("aria-pressed") === "true";
  if (!shown && !heatUrl) {
    button.disabled = true;
    try {
      const answer = await ask("/api/attention", photo, own.signal), picture = await answer.blob();
      if (own !== current) return;
      heatUrl = URL.createObjectURL(picture);
    } catch (error) {
      if (own === current) fail(reason(error, own.signal));
      return;
    } finally {
      button.disabled = false;
    }
  }
  $("#photo").src = shown ? plainUrl : heatUrl;
  $("#photo").alt = shown ? "Your photo" : "Your photo; yellow where the network looked most";
  button.textContent = shown ? "Show what the network looked at" : "Show the photo again";
  button.setAttribute("aria-pressed", !shown);
}

// --- ways to give a photo
const camera = new Camera($("#shooting"), $("#capture"), locate, text => { clear(); fail(text); });
$("#photo").addEventListener("error", () => { $("figure").hidden = true; });
$("#choose").addEventListener("click", () => $("#file").click());
$("#camera").addEventListener("click", () => camera.open());
for (const input of [$("#file"), $("#capture")])
  input.addEventListener("change", () => { locate(input.files[0]); input.value = ""; });
addEventListener("paste", event => locate([...event.clipboardData.files][0]));
let depth = 0;
addEventListener("dragenter", event => { event.preventDefault(); depth++; $("#drop").classList.add("over"); });
addEventListener("dragleave", () => { if (!--depth) $("#drop").classList.remove("over"); });
addEventListener("dragover", event => event.preventDefault());
addEventListener("drop", event => {
  event.preventDefault();
  depth = 0;
  $("#drop").classList.remove("over");
  locate(event.dataTransfer.files[0]);
});
$("#in").addEventListener("click", () => map.zoom(1.5));
$("#out").addEventListener("click", () => map.zoom(1 / 1.5));
$("#fit").addEventListener("click", () => map.fit());

async function example(address) {
  const answer = await fetch(address).catch(() => null);
  answer?.ok ? locate(await answer.blob()) : fail("The example cannot be read.");
}
fetch("/api/info").then(answer => answer.json()).then(own => {
  info = own;
  if (own.background) map.setBackground("/api/background", own.background);
  $("#examples").hidden = !own.examples.length;
  $("#examples .row").append(...own.examples.map((address, i) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(Object.assign(new Image(), { src: address, alt: `Example photo ${i + 1}` }));
    button.addEventListener("click", () => example(address));
    return button;
  }));
}).catch(() => fail("The server cannot be reached."));
fetch("/api/map").then(answer => answer.json()).then(({ layers }) => map.setOutlines(layers)).catch(() => {});
