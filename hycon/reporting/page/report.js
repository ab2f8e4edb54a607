"use strict";

// tablesort compares the other way round; what is no number sorts below every number
const numberOf = (text) => (text.trim() === "" ? -Infinity : Number(text));
Tablesort.extend("value", () => false, (a, b) => {
  const [x, y] = [numberOf(b), numberOf(a)];
  return x < y ? -1 : Number(x > y);
});

for (const table of document.querySelectorAll("table:not(.claims)")) {
  new Tablesort(table);
  for (const heading of table.tHead.rows[0].cells) {
    // a button is announced as one, and the space bar presses it too
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.removeAttribute("tabindex");
  }
}

// on paper nothing can be opened
let closed = [];
window.addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const each of closed) each.open = true;
});
window.addEventListener("afterprint", () => {
  for (const each of closed) each.open = false;
});
