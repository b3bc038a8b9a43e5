// The curves, drawn by uPlot: signals that scroll with a fixed "seconds ago" axis, and the trend whose line fades with quality
// and whose missing scores are hatched.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = "12px system-ui, sans-serif";
const NO_CURSOR = { show: false };

// Fit the chart to its box, now and whenever the box changes.
function fit(chart, host) {
  new ResizeObserver(() => {
    const { clientWidth: width, clientHeight: height } = host;
    if (width > 40 && height > 30) chart.setSize({ width, height });
  }).observe(host);
}

function axes(xValues, xSplits, yValues, ySplits, showX = true) {
  const common = { stroke: () => css("--dim"), font: FONT, grid: { stroke: () => css("--grid"), width: 1 }, ticks: { show: false } };
  return [
    { ...common, show: showX, size: 26, gap: 6, values: xValues, ...(xSplits ? { splits: xSplits } : { space: 90 }) },
    { ...common, size: 46, gap: 4, space: 22, values: yValues, ...(ySplits ? { splits: ySplits } : {}) },
  ];
}

// A range that never zooms into noise.
function rangeWith(minSpan, floor) {
  return (_, low, high) => {
    if (low === null || high === null || !Number.isFinite(low)) return [floor ?? 0, (floor ?? 0) + minSpan];
    const middle = (low + high) / 2, half = Math.max((high - low) * 0.58, minSpan / 2);
    const from = floor === undefined ? middle - half : Math.max(floor, middle - half);
    return [from, Math.max(middle + half, from + minSpan)];
  };
}

// As many decimals as the steps of the axis need.
function digits(values) {
  const step = Math.abs(values[1] - values[0]);
  for (let d = 0; d < 3; d++) if (Math.abs(step * 10 ** d - Math.round(step * 10 ** d)) < 1e-6) return d;
  return values.length > 1 ? 3 : 1;
}

export class SignalChart {
  // series: [{column, color: "--k1", dash, fill}]
  constructor(host, series, { span = 60, minSpan, floor, showX = true }) {
    this.span = span;
    this.columns = series.map((s) => s.column);
    const ago = (u) => [1, 0.75, 0.5, 0.25, 0].map((f) => u.scales.x.max - f * span);
    const label = (u, values) => values.map((v) => (u.scales.x.max - v < 0.5 ? "now" : `−${Math.round(u.scales.x.max - v)} s`));
    this.chart = new uPlot({
      width: Math.max(host.clientWidth, 200), height: Math.max(host.clientHeight, 60), legend: { show: false }, cursor: NO_CURSOR, padding: [6, 16, 0, 0],
      scales: { x: { time: false }, y: { range: rangeWith(minSpan, floor) } },
      axes: axes(label, ago, (_, values) => values.map((v) => v.toFixed(digits(values))), null, showX),
      series: [{}, ...series.map((s) => ({
        stroke: () => css(s.color), width: s.width ?? 1.8, dash: s.dash, points: { show: false }, spanGaps: false,
        fill: s.fill ? () => `color-mix(in srgb, ${css(s.color)} 30%, transparent)` : undefined,
      }))],
    }, [[], ...series.map(() => [])], host);
    fit(this.chart, host);
  }

  draw(signals, now) {
    this.chart.batch(() => {
      this.chart.setData([signals.t, ...this.columns.map((c) => signals[c])], false);
      this.chart.setScale("x", { min: now - this.span, max: now });
    });
  }
}

const HOLE_S = 3;       // longer without a row: nothing came
const LEVELS = 5;

export class TrendChart {
  // series: [{get: row => value, color, dash, width, fade}], range: [low, high], format: value => label, hasValue: row => boolean
  constructor(host, { series, range, splits, format, hasValue }) {
    this.series = series; this.hasValue = hasValue; this.rows = [];
    this.host = host;
    const clock = (u, values) => values.map((v) => new Date(v * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }));
    this.chart = new uPlot({
      width: Math.max(host.clientWidth, 200), height: Math.max(host.clientHeight, 80), legend: { show: false }, cursor: NO_CURSOR, padding: [8, 30, 0, 0],
      scales: { x: { time: false }, y: { range } },
      axes: axes(clock, null, (_, values) => values.map(format), () => splits),
      series: [{}, ...series.map(() => ({ paths: () => null, points: { show: false } }))],
      hooks: { drawAxes: [(u) => this.#hatch(u)], draw: [(u) => this.#lines(u)] },
    }, [[], ...series.map(() => [])], host);
    this.chart.axes[0].incrs = () => [10, 20, 30, 60, 120, 300];
    fit(this.chart, host);
  }

  destroy() { this.chart.destroy(); this.host.replaceChildren(); }

  draw(rows, now, span) {
    this.now = now;
    this.rows = rows.filter((r) => r.t > now - span - 2);
    this.chart.batch(() => {
      this.chart.setData([this.rows.map((r) => r.t), ...this.series.map((s) => this.rows.map(s.get))], false);
      this.chart.setScale("x", { min: now - span, max: now });
    });
  }

  // Hatch every stretch without a trusted value.
  #hatch(u) {
    const spans = [], add = (from, to) => (spans.length && spans.at(-1)[1] >= from - 0.01 ? (spans.at(-1)[1] = to) : spans.push([from, to]));
    this.rows.forEach((row, i) => {
      const next = this.rows[i + 1]?.t ?? this.now;
      if (!this.hasValue(row)) add(row.t, next);
      else if (next - row.t > HOLE_S) add(row.t, next);
    });
    if (!spans.length) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
    ctx.fillStyle = ctx.createPattern(hatchTile(), "repeat");
    for (const [from, to] of spans) {
      const left = u.valToPos(from, "x", true), right = u.valToPos(to, "x", true);
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.restore();
  }

  #lines(u) {
    const { ctx, bbox } = u, ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath(); ctx.rect(bbox.left, bbox.top - 4, bbox.width + 8, bbox.height + 8); ctx.clip();
    ctx.lineJoin = ctx.lineCap = "round";
    for (const s of [...this.series].reverse()) {
      ctx.strokeStyle = ctx.fillStyle = css(s.color);
      ctx.lineWidth = s.width * ratio;
      ctx.setLineDash((s.dash ?? []).map((d) => d * ratio));
      for (let level = 1; level <= LEVELS; level++) this.#level(u, s, level);
      this.#head(u, s);
    }
    ctx.restore();
  }

  // All segments of one step of quality as one path: the lower the quality, the fainter.
  #level(u, s, level) {
    const { ctx } = u, path = new Path2D();
    let pen = false;
    for (let i = 1; i < this.rows.length; i++) {
      const [a, b] = [this.rows[i - 1], this.rows[i]], [ya, yb] = [s.get(a), s.get(b)];
      const here = s.fade ? Math.max(1, Math.ceil((b.quality ?? 0) * LEVELS)) : LEVELS;
      if (ya === null || yb === null || b.t - a.t > HOLE_S || here !== level) { pen = false; continue; }
      if (!pen) path.moveTo(u.valToPos(a.t, "x", true), u.valToPos(ya, "y", true));
      path.lineTo(u.valToPos(b.t, "x", true), u.valToPos(yb, "y", true));
      pen = true;
    }
    ctx.globalAlpha = 0.15 + 0.85 * (level / LEVELS) ** 1.3;
    ctx.stroke(path);
  }

  // A dot at the newest value.
  #head(u, s) {
    const row = this.rows.at(-1), y = row && s.get(row);
    if (y === null || y === undefined) return;
    u.ctx.globalAlpha = 1;
    u.ctx.beginPath();
    u.ctx.arc(u.valToPos(row.t, "x", true), u.valToPos(y, "y", true), (s.width + 1.5) * devicePixelRatio, 0, 2 * Math.PI);
    u.ctx.fill();
  }
}

function hatchTile() {
  const size = 8 * devicePixelRatio, tile = Object.assign(document.createElement("canvas"), { width: size, height: size }), c = tile.getContext("2d");
  c.strokeStyle = css("--hatch");
  c.lineWidth = 1.3 * devicePixelRatio;
  c.beginPath();
  for (const shift of [-size, 0, size]) { c.moveTo(shift, size); c.lineTo(shift + size, 0); }
  c.stroke();
  return tile;
}
