// Lists the operations of /api/openapi.json. Text is set as text, never as HTML.
const element = (name, text, parent) => {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  parent.append(node);
  return node;
};
const named = (schema) => schema?.$ref?.split("/").pop() ?? (schema?.items ? `${named(schema.items)}[]` : schema?.type ?? "");
fetch("/api/openapi.json").then((response) => response.json()).then((doc) => {
  const main = document.getElementById("operations");
  main.textContent = "";
  const groups = new Map();
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (!operation.responses) continue;
      const tag = path.split("/")[3] ?? "";
      groups.set(tag, [...(groups.get(tag) ?? []), { path, method, operation }]);
    }
  }
  for (const [tag, operations] of groups) {
    element("h2", tag, main);
    for (const { path, method, operation } of operations) {
      const details = element("details", "", main);
      const summary = element("summary", "", details);
      element("span", method.toUpperCase(), summary).className = "m";
      element("code", path, summary);
      element("small", ` ${operation.summary ?? operation.operationId ?? ""}`, summary);
      if (operation.description) element("p", operation.description, details);
      const body = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
      const lines = (operation.parameters ?? []).map((p) => `${p.in} ${p.name}${p.required ? "" : "?"}: ${named(p.schema)}`);
      if (body) lines.push(`body: ${named(body)}`);
      for (const [status, response] of Object.entries(operation.responses)) {
        const content = Object.entries(response.content ?? {})[0];
        lines.push(`${status}: ${content ? `${named(content[1].schema)} (${content[0]})` : response.description ?? ""}`);
      }
      element("pre", lines.join("\n"), details);
    }
  }
  element("h2", "Schemas", main);
  for (const [name, schema] of Object.entries(doc.components?.schemas ?? {})) {
    const details = element("details", "", main);
    element("code", name, element("summary", "", details));
    element("pre", JSON.stringify(schema, null, 2), details);
  }
});
