// The evidence view comes alive: pointing at a step lights its evidence in the note, pointing at evidence lights what rests
// on it. All that is shown stands in the page already; nothing is fetched and nothing is made of text.

const numbers = (element) => (element.dataset.at || "").split(" ").filter(Boolean);

function clear(view) {
  for (const element of view.querySelectorAll(".lit, .lit-card, .has-lit")) element.classList.remove("lit", "lit-card", "has-lit");
}

/** Light everything that shares evidence with an element. */
function light(from) {
  const view = from.closest(".ev");
  const wanted = new Set(numbers(from));
  const inNote = from.closest(".ev-note") !== null;
  clear(view);
  let first = null;
  for (const element of view.querySelectorAll("[data-at]")) {
    const shares = numbers(element).some((number) => wanted.has(number));
    if (!shares || (!inNote && element !== from && !element.closest(".ev-note"))) continue;
    if (element.matches(".ev-reason")) element.closest(".ev-code").classList.add("lit-card");
    else element.classList.add("lit");
    const document = element.closest(".ev-document");
    if (document) {
      view.querySelector(`.ev-tabs a[href="#${document.id}"]`)?.classList.add("has-lit");
      first ??= element;
    }
    if (inNote) element.closest(".ev-code")?.classList.add("lit-card");
  }
  if (!inNote && first) reveal(first);
}

/** Bring a piece of the note into sight within the note's own column; the page itself is not moved. */
function reveal(element) {
  const column = element.closest(".ev-notes");
  const document = element.closest(".ev-document");
  if (document.hidden) choose(document);
  if (column.scrollHeight <= column.clientHeight) return;
  const [seen, at] = [column.getBoundingClientRect(), element.getBoundingClientRect()];
  if (at.top >= seen.top + 40 && at.bottom <= seen.bottom - 40) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  column.scrollBy({ top: at.top - seen.top - seen.height / 3, behavior: calm ? "auto" : "smooth" });
}

/** Show one document of several. */
function choose(document, focus = false) {
  const view = document.closest(".ev");
  for (const each of view.querySelectorAll(".ev-document")) each.hidden = each !== document;
  for (const tab of view.querySelectorAll(".ev-tabs a")) {
    const chosen = tab.hash === `#${document.id}`;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) tab.focus();
  }
}

/** Make tabs of the list of documents. */
export function dress(view) {
  const tabs = [...view.querySelectorAll(".ev-tabs a")];
  if (tabs.length === 0) return;
  tabs[0].closest(".ev-tabs").setAttribute("role", "tablist");
  const shown = tabs.map((tab) => document.getElementById(tab.hash.slice(1)));
  tabs.forEach((tab, at) => {
    tab.parentElement.setAttribute("role", "none");
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", shown[at].id);
    shown[at].setAttribute("role", "tabpanel");
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      choose(shown[at]);
    });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) choose(shown[(at + step + tabs.length) % tabs.length], true);
    });
  });
  choose(shown[0]);
}

/** Before the browser follows a link to a place, make sure that it can be seen. */
function open(target) {
  for (let around = target; around; around = around.parentElement) {
    if (around.localName === "details") around.open = true;
    if (around.hidden && around.matches(".ev-document")) choose(around);
  }
}

const pointed = (event) => (event.target instanceof Element ? event.target.closest(".ev [data-at]") : null);

for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => {
    const element = pointed(event);
    if (element) light(element);
  });
}
for (const kind of ["pointerout", "focusout"]) {
  document.addEventListener(kind, (event) => {
    const element = pointed(event);
    if (element) clear(element.closest(".ev"));
  });
}
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest(".ev a[href^='#']") : null;
  const target = link && document.getElementById(link.hash.slice(1));
  if (target) open(target);
});

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll(".ev details:not([open], .ev-card)")]; // reference cards would fill pages
  for (const each of closed) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of closed) each.open = false;
});

for (const view of document.querySelectorAll(".ev")) dress(view);
