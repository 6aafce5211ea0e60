// The page for coders. The service makes the evidence view; this module sends what is typed, puts the view in its place, and
// keeps decisions on their way to the service. Words of a note never become HTML here.

import { dress } from "/page/evidence.js";

const $ = (id) => document.getElementById(id);
const session = {
  get: (name) => JSON.parse(sessionStorage.getItem(name) ?? "null"),
  set: (name, value) => sessionStorage.setItem(name, JSON.stringify(value)),
};
const PAUSE = 250; // milliseconds without a key before what was typed is sent
const AGAIN = 2000; // milliseconds until a decision that did not arrive is sent once more

/** What the tab holds, and has again after a reload: the documents, which of them is being edited, the item of the worklist. */
const tab = session.get("tab") ?? { documents: [{ id: "note", text: "" }], at: 0, number: null };
const unsent = session.get("unsent") ?? []; // decisions on their way
const greeting = $("welcome");
let item = null; // what is shown, as decisions name it
let texts = {}; // of what is shown, by document

/** Hold something for after a reload; what is more than the browser holds is gone then. */
function hold(name, value) {
  try {
    session.set(name, value);
  } catch {
    sessionStorage.removeItem(name);
  }
}
const remember = () => hold("tab", tab);

/** Ask the service. Throws `Refused` for what it refuses, `TypeError` when it does not answer. */
async function ask(path, body) {
  const file = body instanceof File;
  const headers = body === undefined ? {} : { "Content-Type": file ? "application/octet-stream" : "application/json" };
  if (file) headers["X-File-Name"] = encodeURIComponent(body.name);
  const token = session.get("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { method: body === undefined ? "GET" : "POST", headers, body: file ? body : body && JSON.stringify(body) });
  if (response.status === 401) {
    await askToken();
    return ask(path, body);
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Refused(response.status, problem.detail ?? "The service failed on this.");
  }
  return response;
}

class Refused extends Error {
  constructor(status, says) {
    super(says);
    this.status = status;
  }
}

let asking = null;
function askToken() {
  asking ??= new Promise((resolve) => {
    $("token").showModal();
    $("token").addEventListener("close", () => {
      session.set("token", $("token-value").value.trim());
      asking = null;
      resolve();
    }, { once: true });
  });
  return asking;
}

// --- reading ---------------------------------------------------------------------------------------------------------

let latest = 0;
let waiting = null;

function readSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(read, PAUSE);
}

/** Send the documents and show what comes back, unless more was typed meanwhile. */
async function read() {
  clearTimeout(waiting);
  remember();
  const number = ++latest;
  const documents = tab.documents.filter((each) => each.text.trim());
  if (documents.length === 0) return tab.number === null ? welcome() : undefined; // an item whose note is not found
  const policy = new FormData($("policy"));
  const body = {
    documents: documents.map(({ setting, ...each }) => each), // the page's setting goes before a document's own
    setting: policy.get("setting"),
    policy: { excludes1: policy.get("excludes1"), stress_fracture: policy.get("stress_fracture") },
  };
  try {
    const view = await (await ask("/page/view", body)).json();
    if (number === latest) await show(view, Object.fromEntries(documents.map((each) => [each.id, each.text])));
  } catch (error) {
    if (number === latest) fail(error, readSoon);
  }
}

/** Tell what went wrong; where it may go well later, try again. */
function fail(error, again) {
  if (error instanceof Refused && error.status !== 503) {
    $("problem").textContent = error.message;
  } else {
    $("problem").textContent = "The service does not answer. It is asked again.";
    setTimeout(again, AGAIN);
  }
}

function welcome() {
  item = null;
  $("answer").replaceChildren(greeting);
  $("status").textContent = "";
  $("problem").textContent = "";
}

/** Put a view in its place; what was open stays open. */
async function show(view, of) {
  const open = new Set([...$("answer").querySelectorAll("details[open] > summary")].map((each) => each.textContent.replace(/\d+/g, "")));
  const scrolled = view.item.id === item?.id ? $("answer").querySelector(".ev-notes")?.scrollTop : 0;
  $("answer").innerHTML = view.html; // the service's own, every text in it escaped
  for (const summary of $("answer").querySelectorAll("details > summary")) {
    if (open.has(summary.textContent.replace(/\d+/g, ""))) summary.parentElement.open = true;
  }
  for (const made of $("answer").querySelectorAll(".ev")) dress(made);
  const column = $("answer").querySelector(".ev-notes");
  if (column) column.scrollTop = scrolled ?? 0;
  item = view.item;
  texts = of;
  $("problem").textContent = "";
  if ($("status").textContent !== view.says) $("status").textContent = view.says;
  await standing();
}

// --- deciding --------------------------------------------------------------------------------------------------------

const WORDS = { accept: "Accepted", reject: "Rejected", change: "Changed to", none: "No code is right", wrong: "Marked as misread" };

async function standing() {
  const of = item;
  try {
    mark(of, await (await ask("/page/decided", of)).json());
  } catch (error) {
    fail(error, standing);
  }
}

const same = (a, b) => a && b && a.id === b.id && a.digest === b.digest;

/** Show on each card what stands decided. */
function mark(of, found) {
  if (!same(of, item)) return;
  const forms = [...$("answer").querySelectorAll(".ev-decide")];
  for (const form of forms) tell(form, found.decided.find((each) => concerns(form, each)));
  const own = $("answer").querySelector(".ev-added");
  own?.replaceChildren(...found.decided.filter((each) => each.act === "add").map(added));
  if ($("told")) $("told").textContent = found.done && tab.number !== null ? "All is decided here." : "";
}

function concerns(form, decided) {
  if (form.dataset.code) return decided.code === form.dataset.code;
  if (form.dataset.document) return decided.mention !== null && placed(decided.mention) === placed(form.dataset);
  return decided.act === "none";
}

const placed = ({ document, start, end }) => `${document} ${start} ${end}`;

function tell(form, decided) {
  const act = decided?.act ?? "";
  form.dataset.state = act;
  const reason = (decided?.coder ? ` (${decided.coder})` : "") + (decided?.reason ? `: ${decided.reason}` : "");
  form.querySelector(".ev-decided").textContent = decided ? `${WORDS[act]}${decided.right ? ` ${decided.right}` : ""}${reason}` : "";
  for (const button of form.querySelectorAll("[data-act]")) {
    if (button.dataset.act === "withdraw") button.hidden = !decided;
    else if (["accept", "reject", "change", "wrong", "none"].includes(button.dataset.act)) button.setAttribute("aria-pressed", String(button.dataset.act === act));
  }
}

function added(decided) {
  const line = document.createElement("li");
  const button = document.createElement("button");
  line.textContent = `Added ${decided.code}${decided.reason ? `: ${decided.reason}` : ""} `;
  button.type = "button";
  button.textContent = "Take back";
  button.setAttribute("aria-label", `Take back ${decided.code}`);
  button.addEventListener("click", () => decide({ act: "withdraw", code: decided.code }));
  line.append(button);
  return line;
}

/** Hold a decision until the service has it on its disk. */
function decide(decision) {
  if (!item) return;
  if ($("coder").value.trim()) decision.coder = $("coder").value.trim();
  const keeps = document.body.dataset.keeps === "notes" && Object.keys(texts).length > 0;
  unsent.push(keeps ? { item, decision, texts } : { item, decision });
  hold("unsent", unsent);
  return send();
}

let sending = false;
async function send() {
  if (sending) return;
  sending = true;
  try {
    while (unsent.length > 0) {
      const of = unsent[0].item;
      let found = null;
      try {
        found = await (await ask("/page/decide", unsent[0])).json();
        $("problem").textContent = "";
      } catch (error) {
        if (!(error instanceof Refused) || error.status >= 500) {
          $("problem").textContent = `Not saved yet: the service does not answer. ${unsent.length} on the way; they are sent again.`;
          setTimeout(send, AGAIN);
          return;
        }
        $("problem").textContent = `Not taken: ${error.message}`;
      }
      unsent.shift();
      hold("unsent", unsent);
      if (found) {
        mark(of, found);
        if (tab.number !== null && same(of, item)) told(found);
      }
    }
  } finally {
    sending = false;
  }
}

/** Say in the worklist how far its item is. */
function told(found) {
  const state = $("items").querySelector(`[data-number="${tab.number}"] span`);
  if (state) state.textContent = found.done ? "(done)" : found.decided.length > 0 ? "(begun)" : "";
}

/** The decision that a form and an act stand for. */
function decisionOf(form, act) {
  const { code, document: name, start, end, condition, assertion } = form.dataset;
  const decision = { act };
  if (code) decision.code = code;
  if (name) {
    decision.mention = { document: name, start: Number(start), end: Number(end), condition, assertion };
  }
  return decision;
}

function unfold(form, act) {
  const more = form.querySelector(".ev-more");
  more.hidden = false;
  more.dataset.act = act;
  more.querySelector(".ev-problem").textContent = "";
  const right = more.querySelector(".ev-right");
  if (right) right.hidden = act === "reject";
  for (const button of form.querySelectorAll("[aria-expanded]")) button.setAttribute("aria-expanded", String(button.dataset.act === act));
  more.querySelector(right && act !== "reject" ? "[name=right]" : "[name=reason]").focus();
}

function fold(form) {
  form.querySelector(".ev-more").hidden = true;
  form.querySelector(`[data-act="${form.querySelector(".ev-more").dataset.act}"]`)?.focus();
  for (const button of form.querySelectorAll("[aria-expanded]")) button.setAttribute("aria-expanded", "false");
}

function press(form, act) {
  if (["reject", "change", "add", "wrong"].includes(act)) return unfold(form, act);
  if (act === "cancel") return fold(form);
  decide(decisionOf(form, act));
  if (act === "accept") onward(form.closest(".ev-code"));
}

/** Go to the next card on which nothing is decided. */
function onward(card) {
  const cards = [...$("answer").querySelectorAll(".ev-code")];
  const rest = [...cards.slice(cards.indexOf(card) + 1), ...cards];
  const next = rest.find((each) => each !== card && !each.querySelector(".ev-decide").dataset.state);
  if (next && document.activeElement?.closest(".ev-code") === card) go(next);
}

$("answer").addEventListener("click", (event) => {
  const button = event.target.closest(".ev-decide [data-act]");
  if (button) press(button.closest(".ev-decide"), button.dataset.act);
});

$("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const more = form.querySelector(".ev-more");
  const { act } = more.dataset;
  const decision = decisionOf(form, act);
  const reason = form.elements.reason.value.trim();
  const right = form.elements.right?.value.trim().toUpperCase() ?? "";
  if (["change", "add"].includes(act) && !/^[A-Z]\d[0-9A-Z](\.?[0-9A-Z]{1,4})?$/.test(right)) {
    more.querySelector(".ev-problem").textContent = "Write a code such as M43.06 or S32.058A.";
    form.elements.right.focus();
    return;
  }
  if (["reject", "wrong"].includes(act) && !reason) {
    more.querySelector(".ev-problem").textContent = "Give a reason in a few words.";
    form.elements.reason.focus();
    return;
  }
  if (reason) decision.reason = reason;
  if (act === "change") decision.right = right;
  if (act === "add") decision.code = right;
  form.elements.reason.value = "";
  if (form.elements.right) form.elements.right.value = "";
  fold(form);
  decide(decision);
});

// --- the documents ---------------------------------------------------------------------------------------------------

/** Show which documents there are and the one that is edited. */
function layOut() {
  const current = tab.documents[tab.at];
  $("text").value = current.text;
  $("kind").value = current.kind ?? "";
  $("date").value = current.date ?? "";
  const several = tab.documents.length > 1 || current.id !== "note";
  $("documents").replaceChildren(...(several ? tab.documents.map(documentLine) : []));
}

function documentLine(each, at) {
  const line = document.createElement("li");
  const choose = document.createElement("button");
  choose.type = "button";
  choose.textContent = each.id;
  choose.setAttribute("aria-pressed", String(at === tab.at));
  choose.addEventListener("click", () => {
    tab.at = at;
    layOut();
  });
  const remove = document.createElement("button");
  remove.type = "button";
  remove.textContent = "×";
  remove.setAttribute("aria-label", `Remove ${each.id}`);
  remove.addEventListener("click", () => {
    tab.documents.splice(at, 1);
    if (tab.documents.length === 0) tab.documents.push({ id: "note", text: "" });
    tab.at = Math.min(tab.at, tab.documents.length - 1);
    layOut();
    read();
  });
  line.append(choose, remove);
  return line;
}

function free(name) {
  const taken = new Set(tab.documents.map((each) => each.id));
  let id = name;
  for (let number = 2; taken.has(id); number++) id = `${name}-${number}`;
  return id;
}

/** Take in files: text is read here, the service gives the texts of other kinds. Those that cannot be read are told. */
async function take(files) {
  const told = [];
  const taken = [];
  const other = document.body.dataset.endings.split(" ");
  for (const file of files) {
    if (other.some((ending) => file.name.toLowerCase().endsWith(ending))) {
      try {
        const found = await (await ask("/page/documents", file)).json();
        for (const { id, ...each } of found.documents) taken.push({ ...each, name: id });
        for (const notice of found.notices) told.push(`${file.name}: ${notice}`);
      } catch (error) {
        told.push(`${file.name}: ${error instanceof Refused ? error.message : "the service does not answer"}`);
      }
      continue;
    }
    const text = decoded(new Uint8Array(await file.arrayBuffer()));
    if (text === null) told.push(`${file.name}: no text; save it as plain text, Word or PDF`);
    else taken.push({ name: file.name.replace(/\.txt$/i, "").slice(0, 150) || "note", text });
  }
  if (taken.length > 0) {
    leaveWork();
    tab.documents = []; // files opened together are one encounter; what was there is another
    for (const { name, ...each } of taken) tab.documents.push({ id: free(name), ...each });
    tab.at = 0;
    layOut();
    $("input").open = false;
    await read();
  }
  if (told.length > 0) $("problem").textContent = told.join(". ");
}

function decoded(bytes) {
  if (bytes.includes(0) || (bytes[0] === 0x25 && bytes[1] === 0x50 && bytes[2] === 0x44 && bytes[3] === 0x46)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

$("text").addEventListener("input", () => {
  leaveWork();
  tab.documents[tab.at].text = $("text").value;
  readSoon();
});
$("text").addEventListener("paste", () => setTimeout(read));
for (const name of ["kind", "date"]) {
  $(name).addEventListener("change", () => {
    if ($(name).value) tab.documents[tab.at][name] = $(name).value;
    else delete tab.documents[tab.at][name];
    read();
  });
}
$("policy").addEventListener("change", () => {
  tab.policy = Object.fromEntries(new FormData($("policy")));
  read();
});
$("add-document").addEventListener("click", () => {
  tab.documents.push({ id: free("note"), text: "" });
  tab.at = tab.documents.length - 1;
  layOut();
  $("text").focus();
});
$("files").addEventListener("change", () => take([...$("files").files]).then(() => ($("files").value = "")));
$("clear").addEventListener("click", () => {
  leaveWork();
  tab.documents = [{ id: "note", text: "" }];
  tab.at = 0;
  layOut();
  read();
  $("text").focus();
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
for (const kind of ["dragleave", "drop"]) addEventListener(kind, () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  const files = [...event.dataTransfer.files];
  const text = event.dataTransfer.getData("text/plain");
  if (files.length > 0) take(files);
  else if (text) {
    tab.documents[tab.at].text = text;
    layOut();
    read();
  }
});
function trySample() {
  tab.documents = [{ id: "sample note", text: $("sample").content.textContent }];
  tab.at = 0;
  layOut();
  $("input").open = false;
  read();
}

// --- the worklist ----------------------------------------------------------------------------------------------------

let filters = session.get("filters") ?? {};
let shown = ""; // the first items of the list, as they came
let loaded = true; // whether the service has read the whole list
let last = null; // number of the last item that is shown

function leaveWork() {
  if (tab.number === null) return;
  tab.number = null;
  tab.documents = tab.documents.map(({ id, text }) => ({ id, text }));
  $("work-at").textContent = "Worklist";
  $("missing").textContent = "";
  here();
}

const work = async (place) => (await ask(`/page/work?${new URLSearchParams({ ...filters, ...place })}`)).json();

/** Show the list as the filters have it; `onwards`: what follows on what is there. Gives the first of what came. */
async function list(onwards = false) {
  let found;
  try {
    found = await work(onwards ? { after: last } : {});
  } catch (error) {
    return fail(error, () => list(onwards));
  }
  loaded = found.loaded;
  const came = JSON.stringify(found.items);
  if (onwards || came !== shown) {
    if (!onwards) {
      $("items").replaceChildren();
      shown = came;
    }
    $("items").append(...found.items.map(itemLine));
    last = found.items.at(-1)?.number ?? last;
  }
  $("more-items").hidden = $("items").children.length >= found.count;
  $("work-count").textContent = `(${found.count}${found.loaded ? "" : ", still being read"}${found.problem ? `; ${found.problem}` : ""})`;
  for (const [name, values] of Object.entries(found.choices)) choices($("filters").elements[name], values);
  here();
  if (!found.loaded && !onwards) setTimeout(() => list(), AGAIN);
  return found.items[0]?.number;
}

function choices(select, values) {
  const options = values.map(([value, times]) => new Option(`${value.replaceAll("_", " ")} (${times})`, value));
  select.replaceChildren(new Option("any", ""), ...options);
  select.value = filters[select.name] ?? "";
}

function itemLine(each) {
  const line = document.createElement("li");
  const button = document.createElement("button");
  const state = document.createElement("span");
  button.type = "button";
  button.dataset.number = each.number;
  button.textContent = `${each.id}: ${each.codes.join(", ") || "no code"} `;
  state.textContent = each.state === "open" ? "" : `(${each.state})`;
  button.append(state);
  button.addEventListener("click", () => visit(each.number));
  line.append(button);
  return line;
}

function here() {
  for (const button of $("items").querySelectorAll("button")) {
    if (Number(button.dataset.number) === tab.number) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

async function visit(number) {
  let found;
  try {
    found = await (await ask(`/page/work/${number}`)).json();
  } catch (error) {
    if (error.status === 404 && !loaded) return setTimeout(() => visit(number), AGAIN);
    return fail(error, () => visit(number));
  }
  tab.number = number;
  tab.documents = found.documents.length > 0 ? found.documents : [{ id: "note", text: "" }];
  tab.at = 0;
  $("policy").elements.setting.value = found.setting;
  $("policy").elements.excludes1.value = found.policy.excludes1;
  $("policy").elements.stress_fracture.value = found.policy.stress_fracture;
  tab.policy = Object.fromEntries(new FormData($("policy")));
  $("work-at").textContent = found.id;
  $("missing").textContent = found.missing ? `The note ${found.missing}. Its evidence is shown by quotation.` : "";
  $("input").open = false;
  $("work-list").open = false;
  layOut();
  here();
  remember();
  latest++;
  if (found.view) await show(found.view, {});
  else await read();
  $("answer").querySelector(".ev-code")?.focus({ preventScroll: true });
  scrollTo({ top: 0 });
}

async function walk(step) {
  const at = tab.number ?? -1;
  try {
    const { items } = await work(step > 0 ? (at < 0 ? {} : { after: at }) : { before: Math.max(at, 0) });
    const next = step > 0 ? items[0] : items.at(-1);
    if (next) await visit(next.number);
    else $("told").textContent = step > 0 ? "This is the last of the list." : "This is the first of the list.";
  } catch (error) {
    fail(error, () => walk(step));
  }
}

if (document.body.dataset.worklist) {
  $("filters").elements.state.value = filters.state ?? "";
  $("filters").addEventListener("change", () => {
    filters = Object.fromEntries([...new FormData($("filters"))].filter(([, value]) => value));
    session.set("filters", filters);
    list();
  });
  $("more-items").addEventListener("click", () => list(true));
  $("next").addEventListener("click", () => walk(1));
  $("previous").addEventListener("click", () => walk(-1));
}

// --- decisions, taken along ------------------------------------------------------------------------------------------

async function openDecisions() {
  $("exported").textContent = "";
  $("decisions").showModal();
  try {
    $("rates").innerHTML = await (await ask("/page/rates")).text(); // the service's own
  } catch (error) {
    fail(error, () => {});
    $("rates").textContent = error.message;
  }
}

async function takeAlong(form) {
  try {
    const response = await ask(`/page/export?form=${form}`);
    const [rows, finished] = [response.headers.get("X-Count"), response.headers.get("X-Finished")];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = { jsonl: "decisions.jsonl", csv: "decisions.csv", gold: "gold.jsonl" }[form];
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    $("exported").textContent = form === "gold" ? `${rows} of ${finished} finished items have their text at hand and are in the file.` : `${rows} decisions are in the file.`;
  } catch (error) {
    $("exported").textContent = error instanceof Refused ? error.message : "The service does not answer.";
  }
}

$("show-decisions").addEventListener("click", openDecisions);
for (const button of document.querySelectorAll("[data-export]")) button.addEventListener("click", () => takeAlong(button.dataset.export));

// --- keys ------------------------------------------------------------------------------------------------------------

const cards = () => [...$("answer").querySelectorAll(".ev-code")];
const current = () => document.activeElement?.closest?.(".ev-code") ?? cards()[0];

function go(element) {
  element?.focus({ preventScroll: true });
  element?.scrollIntoView({ block: "nearest" });
}

function among(elements, step) {
  const at = elements.indexOf(document.activeElement?.closest?.(".ev-code, .ev-note a"));
  return elements[at < 0 ? (step > 0 ? 0 : elements.length - 1) : (at + step + elements.length) % elements.length];
}

const onCard = (act) => () => {
  const form = current()?.querySelector(".ev-decide");
  if (!form) return;
  if (!form.contains(document.activeElement)) go(form.closest(".ev-code"));
  press(form, act);
};
const onOwn = (act) => () => {
  const form = $("answer").querySelector(".ev-own");
  if (form?.querySelector(`[data-act="${act}"]`)) press(form, act);
};
const KEYS = {
  j: () => go(among(cards(), 1)),
  k: () => go(among(cards(), -1)),
  a: onCard("accept"),
  r: onCard("reject"),
  c: onCard("change"),
  t: onCard("withdraw"),
  "+": onOwn("add"),
  0: onOwn("none"),
  e: () => go(among([...$("answer").querySelectorAll(".ev-note a")], 1)),
  E: () => go(among([...$("answer").querySelectorAll(".ev-note a")], -1)),
  n: () => document.body.dataset.worklist && walk(1),
  p: () => document.body.dataset.worklist && walk(-1),
  i: () => {
    $("input").open = true;
    $("text").focus();
  },
  d: openDecisions,
  "?": () => $("keys").showModal(),
};

addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const form = document.activeElement?.closest?.(".ev-decide");
    if (form && !form.querySelector(".ev-more").hidden) fold(form);
    else if (document.activeElement === $("text")) go(cards()[0] ?? $("answer"));
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || !$("single").checked) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
  const run = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
  if (run) {
    event.preventDefault();
    run();
  }
});
$("show-keys").addEventListener("click", () => $("keys").showModal());
$("coder").value = localStorage.getItem("parsnlp.coder") ?? "";
$("coder").addEventListener("change", () => localStorage.setItem("parsnlp.coder", $("coder").value.trim()));
$("single").checked = localStorage.getItem("parsnlp.keys") !== "off";
$("single").addEventListener("change", () => localStorage.setItem("parsnlp.keys", $("single").checked ? "on" : "off"));

// --- begin -----------------------------------------------------------------------------------------------------------

$("try").addEventListener("click", trySample);
window.addEventListener("beforeunload", (event) => {
  if (unsent.length > 0) event.preventDefault();
});
if (tab.policy) for (const [name, value] of Object.entries(tab.policy)) $("policy").elements[name].value = value;
layOut();
if (tab.number !== null) $("work-at").textContent = tab.documents[0].id;
send();
if (document.body.dataset.worklist) {
  const first = await list();
  const empty = tab.documents.every((each) => !each.text.trim());
  if (tab.number !== null) await visit(tab.number);
  else if (empty && first !== undefined) await visit(first);
  else await read();
} else {
  if (tab.documents.some((each) => each.text.trim())) $("input").open = false;
  await read();
}
