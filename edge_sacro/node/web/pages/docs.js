// The OpenAPI document as a page, without any resource from elsewhere.

import { find, make } from "./dom.js";

const document_ = await (await fetch("/openapi.json", { cache: "no-store" })).json();
const routes = [];
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, route] of Object.entries(methods)) {
    const parameters = (route.parameters ?? []).map((each) => [each.name, `${each.in}${each.required ? ", needed" : ""}. ${each.schema?.description ?? each.description ?? ""}`]);
    const answers = Object.entries(route.responses).map(([status, each]) => [status, each.description]);
    const rows = [...parameters, ...answers].map(([name, text]) => make("tr", {}, make("th", { scope: "row" }, make("code", {}, name)), make("td", {}, text)));
    routes.push(
      make(
        "section",
        {},
        make("h2", {}, make("code", {}, `${method.toUpperCase()} ${path}`)),
        make("p", {}, route.summary, ". ", route.description ?? ""),
        make("table", {}, make("tbody", {}, ...rows)),
      ),
    );
  }
}
find("routes").replaceChildren(...routes);
