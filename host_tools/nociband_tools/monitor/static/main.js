// Ties the page together: the socket brings messages into the store, two timers draw from it.

import { SignalChart, TrendChart } from "./charts.js";
import { setUpControls, showAnswer } from "./controls.js";
import { Store } from "./store.js";
import { capital, drawFace, drawFooter, drawHeader, drawOutput, drawReadings, putPanel } from "./view.js";

const SIGNAL_FRAME_MS = 100, WORDS_MS = 250, ANNOUNCE_MS = 15000, RECONNECT_MS = 1000;
const $ = (id) => document.getElementById(id);
const store = new Store();
let socket = null, open = false, panel = null, trend = null, span = 120, announced = { text: "", at: 0 };

const charts = [
  new SignalChart($("eda-plot"), [{ column: "eda", color: "--k1", width: 2.2 }, { column: "tonic", color: "--k2", dash: [7, 5] }], { minSpan: 0.4, showX: false }),
  new SignalChart($("phasic-plot"), [{ column: "phasic", color: "--k3", fill: true }], { minSpan: 0.2 }),
  new SignalChart($("emg-plot"), [{ column: "emg1", color: "--k1", width: 2 }, { column: "emg2", color: "--k2", width: 2, dash: [7, 4] }], { minSpan: 8, floor: 0 }),
];

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.addEventListener("open", () => { store.reset(); open = true; });
  socket.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    if (message.answer) showAnswer(message.answer); else store.merge(message);
  });
  socket.addEventListener("close", () => { open = false; setTimeout(connect, RECONNECT_MS); });
}

const send = (command) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(command)); };

// The trend of a model of pain is its 0-10 score; of any other, the probabilities of its classes.
function trendOf(model) {
  if (model.of === "pain") {
    return { title: "Pain estimate over time", foot: "The line fades as signal quality falls.", options: {
      range: [0, 10], splits: [0, 2, 4, 6, 8, 10], format: (v) => String(v), hasValue: (r) => r.score !== null,
      series: [{ name: "fused", get: (r) => r.score, color: "--k1", width: 3.4, fade: true }, { name: "band only", get: (r) => r.band, color: "--k2", width: 1.8, dash: [6, 5] },
        { name: "face only", get: (r) => r.face, color: "--k3", width: 1.8, dash: [1, 5] }] } };
  }
  const dashes = [undefined, [8, 5], [2, 5], [10, 4, 2, 4]];
  return { title: `${capital(model.of)} over time`, foot: "The lines fade as signal quality falls.", options: {
    range: [0, 1], splits: [0, 0.25, 0.5, 0.75, 1], format: (v) => `${Math.round(v * 100)} %`, hasValue: (r) => !r.why.length && r.label !== null,
    series: model.labels.map((label, i) => ({ name: label, get: (r) => (r.why.length ? null : r.probabilities[i] ?? null), color: `--k${i + 1}`, width: 2.6, dash: dashes[i % 4], fade: true })) } };
}

function putTrend(model) {
  trend?.destroy();
  trend = null;
  if (!model) {
    $("trend-legend").replaceChildren();
    $("trend-title").textContent = "Trend";
    $("trend-foot").textContent = "It begins with the first result.";
    return;
  }
  const { title, foot, options } = trendOf(model);
  trend = new TrendChart($("trend-plot"), options);
  $("trend-title").textContent = title;
  $("trend-foot").textContent = foot;
  const style = (dash) => (!dash ? "" : dash[0] < 3 ? "dotted" : "dashed");
  const items = [...options.series.map((s) => [capital(s.name), `${s.color.slice(2)} ${style(s.dash)}`]), [model.of === "pain" ? "no score" : "no result", "hatched"]];
  $("trend-legend").replaceChildren(...items.map(([textContent, className]) => Object.assign(document.createElement("li"), { textContent, className })));
}

function choosePanel() {
  const model = store.state?.model, kind = !model ? "waiting" : model.of === "pain" ? "pain" : "classes", key = `${kind}:${model?.name}`;
  if (panel === key) return;
  panel = key;
  putPanel(kind, model);
  putTrend(model);
}

// Speak at once when a score comes or goes, otherwise seldom.
function announce(text) {
  const kind = (t) => t.startsWith("No "), now = Date.now();
  if (!text || text === announced.text || (kind(text) === kind(announced.text) && announced.text && now - announced.at < ANNOUNCE_MS)) return;
  announced = { text, at: now };
  $("announcer").textContent = text;
}

function drawWords() {
  if (document.hidden) return;
  drawHeader(store, open);
  if (store.state) choosePanel();
  if (panel) announce(drawOutput(store, open));
  drawFace(store);
  drawFooter(store);
  drawReadings(store);
  trend?.draw(store.isPain ? store.fused : store.predictions, store.now(), span);
}

function drawSignals() { if (!document.hidden) for (const chart of charts) chart.draw(store.signals, store.now()); }

for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => {
    span = Number(button.dataset.span);
    for (const b of document.querySelectorAll("[data-span]")) b.setAttribute("aria-pressed", String(b === button));
    drawWords();
  });
}
setUpControls(send, store, () => { drawSignals(); drawWords(); });
connect();
setInterval(drawSignals, SIGNAL_FRAME_MS);
setInterval(drawWords, WORDS_MS);
