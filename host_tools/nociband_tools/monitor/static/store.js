// What the page knows: curves, results, the face and the hub's state, merged from the monitor's messages.
// Times are Unix seconds on the monitor's clock; `now()` is that clock as this browser sees it.

const SIGNAL_S = 62, TREND_S = 605;
const COLUMNS = ["t", "eda", "tonic", "phasic", "emg1", "emg2"];

export class Store {
  constructor() { this.reset(); }

  // A new connection brings everything there is again.
  reset() {
    this.signals = Object.fromEntries(COLUMNS.map((c) => [c, []]));
    this.predictions = [];
    this.fused = [];
    this.face = null;
    this.state = null;
    this.offset = null;
  }

  now() { return Date.now() / 1000 + (this.offset ?? 0); }

  merge(message) {
    // The message with the shortest way tells the offset best.
    const offset = message.now - Date.now() / 1000;
    this.offset = this.offset === null ? offset : Math.max(this.offset - 0.001, offset);
    if (message.state) this.#takeState(message.state);
    if (message.signals) for (const c of COLUMNS) this.signals[c].push(...message.signals[c]);
    if (message.predictions) this.predictions.push(...message.predictions);
    if (message.fused) this.fused.push(...message.fused);
    if (message.face) this.face = message.face;
    this.#trim(message.now);
  }

  // What another model said, or a band that is forgotten, does not belong in the same picture.
  #takeState(state) {
    if (this.state?.model && this.state.model.name !== state.model?.name) {
      for (const c of COLUMNS) this.signals[c] = [];
      this.predictions = [];
      this.fused = [];
    }
    this.state = state;
  }

  #trim(now) {
    const t = this.signals.t;
    const old = t.findIndex((v) => v > now - SIGNAL_S);
    if (old > 100) for (const c of COLUMNS) this.signals[c].splice(0, old);
    for (const rows of [this.predictions, this.fused]) while (rows.length && rows[0].t < now - TREND_S) rows.shift();
  }

  get isPain() { return this.state?.model?.of === "pain"; }
  get last() { return this.isPain ? this.fused.at(-1) : this.predictions.at(-1); }
}
