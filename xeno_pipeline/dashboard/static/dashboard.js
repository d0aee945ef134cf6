// What the pages need beside htmx: menus that close, and the current page in view.
"use strict";

// A menu closes by Escape, by a click elsewhere, and when the focus leaves it.
const closeMenus = (except) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
};
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
document.addEventListener("focusin", (event) => closeMenus(event.target.closest("details.menu")));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = event.target.closest("details.menu[open]");
  closeMenus(null);
  if (menu) menu.querySelector("summary").focus();
});

// What is typed into a condition while an answer is on its way is not lost when the answer takes the place of the rows.
let typed = null;
document.addEventListener("htmx:before:swap", () => {
  const at = document.activeElement;
  typed = at && at.id && at.matches("#built input") ? { id: at.id, value: at.value } : null;
});
document.addEventListener("htmx:after:swap", () => {
  const now = typed && document.getElementById(typed.id);
  if (now && now.matches("input")) {
    now.focus();
    if (now.value !== typed.value) {
      now.value = typed.value;
      now.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
  typed = null;
});

// On a narrow screen the pages are a strip: the current one is brought into view.
const current = document.querySelector(".side nav [aria-current]");
const strip = current && current.closest("nav");
if (strip && strip.scrollWidth > strip.clientWidth) {
  strip.scrollLeft = current.offsetLeft - strip.clientWidth / 2 + current.offsetWidth / 2;
}
