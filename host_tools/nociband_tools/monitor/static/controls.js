// What a person can do: pair, forget, try again, choose the trend's length and the theme.

const $ = (id) => document.getElementById(id);

export function setUpControls(send, store, redraw) {
  $("pair-form").addEventListener("submit", (event) => {
    event.preventDefault();
    $("pair-message").textContent = "";
    send({ op: "pair", passkey: $("passkey").value });
    $("passkey").value = "";
  });
  $("retry-button").addEventListener("click", () => send({ op: "retry" }));
  $("band-button").addEventListener("click", () => openDialog(store));
  $("forget-button").addEventListener("click", () => confirmForget(true));
  $("forget-no").addEventListener("click", () => confirmForget(false));
  $("forget-yes").addEventListener("click", () => { send({ op: "forget" }); confirmForget(false); });
  for (const b of document.querySelectorAll("[data-close]")) b.addEventListener("click", () => $("band-dialog").close());
  setUpTheme(redraw);
}

export function showAnswer(answer) {
  if (answer.op === "pair") $("pair-message").textContent = answer.ok ? "" : answer.message;
  if (answer.op === "forget") {
    $("forget-message").textContent = answer.message;
    if (answer.ok) { $("band-dialog").close(); $("passkey").focus(); }
  }
}

function confirmForget(asking) {
  $("forget-ask").hidden = asking;
  $("forget-confirm").hidden = !asking;
  $(asking ? "forget-no" : "forget-button").focus();
}

function openDialog(store) {
  const s = store.state, c = s?.counters;
  const facts = { Band: s?.band || "–", State: s?.link ?? "–", Battery: s?.battery_percent == null ? "–" : `${s.battery_percent} %`, Source: s?.source || "–",
    Model: s?.model?.title ?? "–", Frames: c ? `${c.frames} received, ${c.frames_lost} lost in ${c.gaps} gaps` : "–", Reconnections: c ? String(c.reconnections) : "–" };
  $("band-facts").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [
    Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: value })]));
  $("forget-message").textContent = "";
  $("forget-button").disabled = s?.link !== "connected";
  $("band-dialog").showModal();
  $("forget-ask").hidden = false;
  $("forget-confirm").hidden = true;
}

function setUpTheme(redraw) {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => { root.dataset.theme = localStorage.getItem("theme") ?? (dark.matches ? "dark" : "light"); redraw(); };
  $("theme-button").addEventListener("click", () => { localStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark"); apply(); });
  dark.addEventListener("change", apply);
  apply();
}
