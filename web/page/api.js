"use strict";
// The API's description as a page; FastAPI's own pages load scripts from another host.
const make = (name, text = "", ...inside) => {
  const own = Object.assign(document.createElement(name), { textContent: text });
  own.append(...inside);
  return own;
};
const table = (head, rows) => {
  const scroll = make("div", "", make("table", "",
    make("thead", "", make("tr", "", ...head.map(text => make("th", text)))),
    make("tbody", "", ...rows.map(row => make("tr", "", ...row.map(text => make("td", text)))))));
  scroll.className = "scroll";
  return scroll;
};
const kind = ({ $ref: ref, type, items, anyOf, prefixItems, format }) => {
  if (ref) return ref.split("/").pop();
  if (anyOf) return anyOf.map(kind).join(" or ");
  if (prefixItems) return `[${prefixItems.map(kind).join(", ")}]`;
  if (type === "array") return `list of ${kind(items)}`;
  return format === "binary" ? "file" : type ?? "anything";
};
const contents = ({ content = {} }) => Object.entries(content).map(([type, { schema }]) =>
  schema && Object.keys(schema).length ? `${type}: ${kind(schema)}` : type).join(", ");

document.getElementById("curl").textContent =
  `curl --data-binary @photo.jpg -H "Content-Type: image/jpeg" ${location.origin}/api/locate`;
fetch("/openapi.json").then(answer => answer.json()).then(({ paths, components }) => {
  for (const [path, methods] of Object.entries(paths)) for (const [method, own] of Object.entries(methods)) {
    const given = [
      ...(own.parameters ?? []).map(({ name, schema }) => `${name} (${kind(schema)})`),
      ...(own.requestBody ? [`body: ${own.requestBody.description} (${Object.keys(own.requestBody.content).join(", ")})`] : []),
    ];
    document.getElementById("paths").append(
      make("h2", `${method.toUpperCase()} ${path}`), make("p", own.summary + "."),
      ...given.map(text => make("p", `Takes ${text}.`)),
      table(["status", "meaning", "content"], Object.entries(own.responses).filter(([, response]) => !/Validation/.test(contents(response))).map(([status, response]) =>
        [status, response.description, contents(response)])));
  }
  for (const [name, { description = "", properties = {} }] of Object.entries(components.schemas)) {
    if (/Validation/.test(name)) continue;
    document.getElementById("schemas").append(make("h3", name), make("p", description),
      table(["property", "type", "meaning"], Object.entries(properties).map(([key, own]) => [key, kind(own), own.description ?? ""])));
  }
});
