// Words and numbers on the page: link, battery, result, classes, face. Reads the store, writes the DOM.

const $ = (id) => document.getElementById(id);
const STALE_S = 3.5;
const LINK = { searching: "Searching for a band", pairing: "Pairing", connected: "Band connected", lost: "Band lost", failed: "Band not usable" };
const MEASURES = { brow_lowering: "Brow lowering", eye_closing: "Eye closing", nose_wrinkling: "Nose wrinkling", upper_lip_raising: "Upper lip raising", mouth_opening: "Mouth opening" };
const FACE = { off: "no camera", starting: "starting", running: "", ended: "video ended", failed: "not available" };
const percent = (v) => `${Math.round(v * 100)} %`;
const number = (v) => (v === null || v === undefined ? "–" : v.toFixed(1));
const setText = (node, text) => { if (node && node.textContent !== text) node.textContent = text; };
const show = (node, on) => { if (node) node.hidden = !on; };
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1).replaceAll("_", " ");

export function drawHeader(store, open) {
  const s = store.state;
  document.body.dataset.socket = open ? "open" : "closed";
  document.body.dataset.link = s?.link ?? "searching";
  setText($("link-title"), !open ? "The monitor does not answer" : s?.needs_passkey ? "Band not paired" : LINK[s?.link] ?? "Connecting");
  const detail = !open ? "trying to reach it again" : s?.link === "connected" ? [s.band, s.source].filter(Boolean).join(" · ") : s?.message ?? "";
  setText($("link-detail"), s?.link === "failed" || s?.needs_passkey ? "" : detail);
  const battery = s?.battery_percent;
  show($("battery"), battery !== null && battery !== undefined);
  if (battery !== null && battery !== undefined) {
    setText($("battery-text"), `${battery} %`);
    $("battery").title = $("battery").ariaLabel = `Band battery ${battery} percent`;
    $("battery-fill").style.width = `${battery}%`;
    $("battery").classList.toggle("low", battery < 20);
    $("battery").classList.toggle("stale", !open || s.link !== "connected");
  }
  drawNotices(s);
}

function drawNotices(s) {
  show($("simulated"), Boolean(s?.simulated.length));
  drawSimulated(s?.simulated ?? []);
  const notes = [s?.model?.of === "pain" ? s.model.warning : "", ...(s?.band_notes ?? [])].filter(Boolean);
  show($("warning"), notes.length > 0);
  setText($("warning-title"), s?.model?.synthetic ? "Synthetic model" : "Note");
  setText($("warning-text"), notes.map(capital).join(". "));
  show($("pairing"), Boolean(s?.needs_passkey));
  if (s?.needs_passkey && s.message) setText($("pairing-text"), s.message);
  show($("failed"), s?.link === "failed" && !s.needs_passkey);
  setText($("failed-text"), s?.message ?? "");
}

// Short in one line, "EMG: simulated envelope" as EMG; in full on a tap.
function drawSimulated(what) {
  setText($("simulated-text"), [...new Set(what.map((w) => w.split(":")[0]))].join(", "));
  const list = $("simulated-list");
  if (list.dataset.text === what.join("|")) return;
  list.dataset.text = what.join("|");
  list.replaceChildren(...what.map((w) => Object.assign(document.createElement("li"), { textContent: w })));
}

// Put up the panel that fits the model: a 0-10 scale for a model of pain and for no other.
export function putPanel(kind, model) {
  $("output").replaceChildren($(`output-${kind}`).content.cloneNode(true));
  if (kind !== "classes") return;
  setText($("classes-title"), capital(model.of));
  setText($("classes-of"), model.title);
  setText($("model-warning"), capital(model.warning));
  $("classes").replaceChildren(...model.labels.map((label, i) => bar("class", capital(label), `k${i + 1}`)));
}

function bar(kind, label, color = "") {
  const row = document.createElement("div");
  row.className = `${kind} ${color}`;
  const parts = [["span", "name"], ["span", "bar"], ["span", "pc"]].map(([tag, name]) => Object.assign(document.createElement(tag), { className: name }));
  parts[0].textContent = label;
  parts[1].append(document.createElement("span"));
  row.append(...parts);
  return row;
}

function setBar(row, value, text) {
  row.querySelector(".bar span").style.width = value === null ? "0" : percent(value).replace(" ", "");
  setText(row.querySelector(".pc"), text);
}

// Returns what a screen reader should hear.
export function drawOutput(store, open) {
  const row = store.last, now = store.now();
  if (!store.state?.model) { setText($("waiting-text"), LINK[store.state?.link] ?? "Waiting for a band"); return ""; }
  const age = row ? now - row.t : Infinity, gone = !store.isPain && store.state.link !== "connected", stale = !open || gone || age > STALE_S;
  const has = !stale && Boolean(row) && (store.isPain ? row.score !== null : !row.why.length && row.label !== null);
  const why = stale ? staleWords(store, open, age) : row.why;
  show($("score-block"), has);
  show($("no-score"), !has);
  const list = why.length ? why : ["No reason was given"];
  if ($("why").dataset.text !== list.join("|")) {
    $("why").dataset.text = list.join("|");
    $("why").replaceChildren(...list.map((w) => Object.assign(document.createElement("li"), { textContent: w })));
  }
  if (has) drawQuality(row);
  if (store.isPain) drawPain(store, row, stale, has); else drawClasses(store, row, has);
  if (!has) return `No ${store.isPain ? "score" : "result"}: ${list.join(", ").replace(/ \(\d+ s left\)/g, "")}`;
  return store.isPain ? `Score ${Math.round(row.score)} of 10` : `${capital(row.label)}`;
}

function staleWords(store, open, age) {
  if (!open) return ["The monitor does not answer"];
  const old = Number.isFinite(age) ? `The last result is ${Math.round(age)} s old` : "No result yet";
  return store.state.link === "connected" ? [old] : [LINK[store.state.link], ...(Number.isFinite(age) ? [old] : [])];
}

function drawQuality(row) {
  $("quality-fill").style.width = percent(row.quality).replace(" ", "");
  setText($("quality-text"), `Quality ${percent(row.quality)}`);
}

// Which sides the fused value stands on, and what the other lacks.
function drawPain(store, row, stale, has) {
  if (has) setText($("score"), number(row.score));
  const single = has && row.why.length > 0;
  show($("note"), single);
  if (single) setText($("note"), row.why.join(". "));
  const band = store.predictions.at(-1), bandOld = store.state.link !== "connected" || !band || store.now() - band.t > STALE_S;
  const bandScore = bandOld ? null : band.score;
  const sides = !has ? "no score" : row.band_weight && row.face_weight ? "both sides" : row.band_weight ? "band alone" : "face alone";
  tile("fused", has ? row.score : null, sides, stale);
  tile("band", bandScore, bandOld && band ? "out of date" : bandScore === null ? "no score" : `weight ${(row?.band_weight ?? 0).toFixed(2)}`, stale || bandOld);
  const face = store.face, faceOld = store.state.face !== "running" || !face || store.now() - face.t > STALE_S;
  const score = faceOld ? null : row?.face ?? null;
  const said = store.state.face !== "running" ? FACE[store.state.face] : score === null ? "no score" : `weight ${row.face_weight.toFixed(2)}`;
  tile("face", score, said, stale || faceOld);
}

function tile(name, value, sub, stale) {
  const node = $(`tile-${name}`);
  setText(node.querySelector(".num"), number(value));
  setText(node.querySelector(".sub"), sub);
  node.classList.toggle("stale", stale);
}

function drawClasses(store, row, has) {
  if (has) setText($("likeliest"), capital(row.label));
  [...$("classes").children].forEach((node, i) => {
    const p = has ? row.probabilities[i] ?? null : null;
    setBar(node, p, p === null ? "–" : percent(p));
    node.classList.toggle("top", has && store.state.model.labels[i] === row.label);
    node.classList.toggle("stale", !has);
  });
}

export function drawFace(store) {
  const box = $("face-measures"), face = store.face, state = store.state;
  if (!box.children.length) box.replaceChildren(...Object.values(MEASURES).map((name) => bar("measure", name)));
  const old = !face || !state || state.face !== "running" || store.now() - face.t > STALE_S;
  Object.keys(MEASURES).forEach((key, i) => {
    const v = face?.measures[key] ?? null;
    setBar(box.children[i], v, v === null ? "–" : percent(v));
  });
  box.classList.toggle("stale", old);
  const fused = store.isPain, model = state?.model;
  setText($("face-tag"), !state || state.face === "off" ? "no camera" : !model ? "shown" : fused ? "fused with the band" : "shown, not fused");
  $("face-tag").classList.toggle("strong", Boolean(model) && !fused && state.face !== "off");
  const trouble = state?.face_message || face?.why.join(". ");
  const well = face ? `Quality ${percent(face.quality)}${face.source ? ` · ${face.source}` : ""}` : "";
  setText($("face-foot"), !state || state.face === "off" ? "No camera is used." : trouble || (face ? well : FACE[state.face]));
}

export function drawReadings(store) {
  const { eda, phasic, emg1, emg2, t } = store.signals;
  const i = eda.findLastIndex((v) => v !== null), old = i < 0 || store.now() - t[i] > STALE_S;
  setText($("eda-reading"), i < 0 ? "" : `${eda[i].toFixed(2)} µS`);
  setText($("emg-reading"), i < 0 ? "" : `${emg1[i].toFixed(1)} / ${emg2[i].toFixed(1)} µV`);
  for (const node of document.querySelectorAll(".live-signal")) node.querySelectorAll(".plot, .reading").forEach((n) => n.classList.toggle("stale", old));
  return phasic.length;
}

export function drawFooter(store) {
  const s = store.state;
  if (!s) return;
  const model = s.model ? `Model: ${s.model.title}${s.model.synthetic ? " (synthetic)" : ""}` : "No model yet";
  setText($("model-line"), model);
  const c = s.counters, late = s.latency_ms_p50 === null ? "" : ` · delay ${Math.round(s.latency_ms_p50)} ms (p99 ${Math.round(s.latency_ms_p99)})`;
  setText($("count-line"), `${c.frames.toLocaleString("en")} frames, ${c.frames_lost} lost · ${c.predictions} predictions · ${c.face_updates} face updates${late}`);
  s.model?.sites.forEach((site, i) => setText($(`emg${i + 1}-name`), capital(site)));
}
