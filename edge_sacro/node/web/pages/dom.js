// Elements without any markup in strings: nothing that a file or a peer wrote is ever parsed as HTML.

/** An element. Attributes whose value is null or false are left out; children may be text, elements or null. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((each) => each !== null && each !== undefined));
  return element;
}

export const find = (id) => document.getElementById(id);

/** Tell people who listen instead of looking. */
export function announce(text) {
  find("live").textContent = text;
}
