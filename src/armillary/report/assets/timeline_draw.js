// Painting the timeline. Tasks of at least WHOLE pixels, or of ALONE with room around them, are drawn each; thinner ones add up, bin by
// bin, to bars whose height is the busy share of the bin, stacked by kind: the same area means the same time at every zoom.

const BIN = 2; // CSS pixels
const WHOLE = 3;
const ALONE = 1;
const OVERVIEW = { y: 0, height: 34 };
const AXIS = { y: 40, height: 20 };
const LANES_TOP = 66;
const COUNTER = { height: 50, gap: 12 };

/** Where everything lies, in CSS pixels; lanes relative to the top of the first one. */
function layoutOf(model, width, mostLanes) {
  const narrow = width < 560;
  const gutter = narrow ? 0 : 158;
  const label = narrow ? 15 : 0; // narrow screens have the name above the lane
  const full = model.laneRows.map(({ rows }) => Math.max(24, rows * 9));
  const natural = full.reduce((sum, height) => sum + height + label + 6, 0);
  const squeeze = natural <= mostLanes ? 1 : Math.max(0.25, (mostLanes - model.lanes.length * (label + 2)) / full.reduce((sum, height) => sum + height, 0));
  const gap = squeeze === 1 ? 6 : 2;
  const lanes = [];
  let y = 0;
  model.laneRows.forEach(({ rows }, lane) => {
    const height = Math.max(13, rows * 2, full[lane] * squeeze); // never too low for its name; then the lanes scroll
    lanes.push({ y: y + label, height, row: height / rows });
    y += label + height + gap;
  });
  const lanesHeight = Math.min(y, mostLanes);
  const counters = model.counters.map((_, i) => ({ y: LANES_TOP + lanesHeight + COUNTER.gap + label + i * (COUNTER.height + COUNTER.gap + label), height: COUNTER.height }));
  const height = LANES_TOP + lanesHeight + model.counters.length * (COUNTER.height + COUNTER.gap + label) + (counters.length ? 4 : 0);
  return { narrow, gutter, lanes, lanesHeight, content: y, counters, width, height, plot: width - gutter };
}

/** Colours of the theme that drawing needs, read once a theme. */
function themeOf(model) {
  const dim = themeColour("--dim");
  const colours = [...model.colours, dim];
  return {
    text: themeColour("--text"), soft: themeColour("--text-soft"), line: themeColour("--line"), strong: themeColour("--line-strong"),
    lane: themeColour("--lane"), accent: themeColour("--accent"), card: themeColour("--card"), colours,
    onColour: colours.map(readableOn), font: getComputedStyle(document.body).fontFamily,
  };
}

/** Black or white, whichever reads on `colour`. */
function readableOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.3 * red + 0.59 * green + 0.11 * blue > 140 ? "#1a1d21" : "#ffffff";
}

function drawTimeline(view) {
  const { context, layout, theme, scale } = view;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, layout.width, layout.height);
  context.textBaseline = "middle";
  drawOverview(view);
  drawAxis(view);
  context.save();
  context.beginPath();
  context.rect(0, LANES_TOP, layout.width, layout.lanesHeight);
  context.clip();
  view.model.lanes.forEach((name, lane) => drawLane(view, name, lane));
  drawChain(view);
  context.restore();
  if (layout.content > layout.lanesHeight) drawScroll(view);
  view.model.counters.forEach((counter, i) => drawCounter(view, counter, layout.counters[i]));
  if (view.brush) {
    context.fillStyle = theme.accent;
    context.globalAlpha = 0.18;
    context.fillRect(Math.min(...view.brush), AXIS.y, Math.abs(view.brush[1] - view.brush[0]), layout.height - AXIS.y);
    context.globalAlpha = 1;
  }
  if (view.pointer && !view.brush) drawCrosshair(view);
}

function drawOverview(view) {
  const { context, layout, theme, model } = view;
  const kinds = model.kinds.length;
  const bins = view.overview.length / kinds;
  const width = layout.plot / bins;
  context.fillStyle = theme.lane;
  context.fillRect(layout.gutter, OVERVIEW.y, layout.plot, OVERVIEW.height);
  const base = new Float32Array(bins);
  for (let kind = 0; kind < kinds; kind++) {
    context.fillStyle = theme.colours[kind];
    for (let bin = 0; bin < bins; bin++) {
      const height = (view.overview[bin * kinds + kind] / view.overviewTop) * (OVERVIEW.height - 3);
      if (height <= 0) continue;
      context.fillRect(layout.gutter + bin * width, OVERVIEW.y + OVERVIEW.height - base[bin] - height, width + 0.25, height);
      base[bin] += height;
    }
  }
  const [from, to] = model.span;
  const left = layout.gutter + ((view.t0 - from) / (to - from)) * layout.plot;
  const right = Math.max(left + 3, layout.gutter + ((view.t1 - from) / (to - from)) * layout.plot);
  context.fillStyle = theme.card;
  context.globalAlpha = 0.66;
  context.fillRect(layout.gutter, OVERVIEW.y, left - layout.gutter, OVERVIEW.height);
  context.fillRect(right, OVERVIEW.y, layout.width - right, OVERVIEW.height);
  context.globalAlpha = 1;
  context.strokeStyle = theme.accent;
  context.lineWidth = 1.5;
  context.strokeRect(left + 0.75, OVERVIEW.y + 0.75, right - left - 1.5, OVERVIEW.height - 1.5);
  if (!layout.narrow) {
    write(view, "Overview", 0, OVERVIEW.y + 11, { weight: 600 });
    write(view, quantity(to - from, "s", 4), 0, OVERVIEW.y + 26, { colour: theme.soft, size: 11 });
  }
}

function drawAxis(view) {
  const { context, layout, theme, t0, t1 } = view;
  const { step, base, unit, size, decimals } = ticksOf(t0, t1, layout.plot);
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.beginPath();
  for (let n = Math.ceil((t0 - base) / step); base + n * step <= t1; n++) {
    const x = Math.round(xOf(view, base + n * step)) + 0.5;
    context.moveTo(x, AXIS.y + AXIS.height - 4);
    context.lineTo(x, layout.height);
    const text = `${base ? "+" : ""}${((n * step) / size).toFixed(decimals)} ${unit}`;
    write(view, text, Math.min(x, layout.width - 28), AXIS.y + 8, { colour: theme.soft, size: 11, align: x < layout.gutter + 24 ? "left" : "center" });
  }
  context.stroke();
  if (base && !layout.narrow) write(view, `from ${quantity(base, "s", 9)}`, 0, AXIS.y + 8, { colour: theme.soft, size: 11 });
}

/** Ticks at 1, 2 or 5 times a power of ten, some 100 pixels apart; deep in the run they count from a round base. */
function ticksOf(t0, t1, pixels) {
  const rough = ((t1 - t0) / pixels) * 100;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const deep = Math.abs(t1) / step > 1e4;
  const base = deep ? Math.floor(t0 / (step * 1000)) * step * 1000 : 0;
  const [prefix, size] = prefixOf(deep ? step * 10 : Math.max(Math.abs(t0), Math.abs(t1)));
  return { step, base, unit: `${prefix}s`, size, decimals: Math.max(0, -Math.floor(Math.log10(step / size) + 1e-9)) };
}

function drawLane(view, name, lane) {
  const { context, layout, theme, model } = view;
  const place = layout.lanes[lane];
  const y = LANES_TOP + place.y - view.scroll;
  if (y > LANES_TOP + layout.lanesHeight || y + place.height < LANES_TOP - 15) return;
  context.fillStyle = theme.lane;
  context.fillRect(layout.gutter, y, layout.plot, place.height);
  const { first, rows } = model.laneRows[lane];
  view.joined[lane] = rows > 1 && isThin(view, first, rows);
  let busy = 0;
  for (let row = 0; row < rows; row++) {
    if (view.joined[lane]) busy += binRow(view, first + row, 0, 1 / rows, 0);
    else busy += drawRow(view, first + row, y + row * place.row, place.row - (rows > 1 && place.row > 4 ? 1 : 0));
  }
  if (view.joined[lane]) drawBins(view, layout.gutter, y, place.height);
  const share = percent(busy / rows / (view.t1 - view.t0));
  const middle = layout.narrow ? y - 8 : y + place.height / 2;
  const end = layout.narrow ? layout.width : layout.gutter - 12;
  write(view, share, end, middle, { colour: theme.soft, size: 11, align: "right" });
  write(view, shortened(context, name, end - 44, theme, 12), 0, middle, { weight: 500 });
}

/** Whether the tasks of several rows are so thin that one bar for the lane says more than a hairline a row. */
function isThin(view, first, rows) {
  const { model, t0, t1, layout } = view;
  let tasks = 0;
  for (let row = first; row < first + rows; row++) tasks += firstAfter(model.start, t1, model.offset[row], model.offset[row + 1]) - firstTask(model, row, t0);
  return tasks > (layout.plot / (2 * WHOLE)) * Math.sqrt(rows);
}

/** Paint one row; gives its busy seconds inside the window. */
function drawRow(view, row, y, height) {
  const busy = binRow(view, row, y, 1, height);
  drawBins(view, view.layout.gutter, y, height);
  return busy;
}

/** Walk one row: draw the tasks that are wide enough at `height` (if it is given), add the others to the bins by `weight`. */
function binRow(view, row, y, weight, height) {
  const { layout, theme, model, t0, t1 } = view;
  const { start, end, kind, lit, name, names } = model;
  const perSecond = layout.plot / (t1 - t0);
  let busy = 0;
  for (let i = Math.max(model.offset[row], firstTask(model, row, t0) - 1); i < model.offset[row + 1] && start[i] <= t1; i++) {
    const x0 = Math.max(0, (start[i] - t0) * perSecond);
    const x1 = Math.min(layout.plot, (end[i] - t0) * perSecond);
    if (x1 < 0 || x1 < x0) continue;
    busy += x1 - x0;
    const colour = lit[i] ? kind[i] : theme.colours.length - 1;
    const whole = height && (x1 - x0 >= WHOLE || (x1 - x0 >= ALONE && isAlone(model, row, i, BIN / perSecond)));
    if (whole) drawTask(view, layout.gutter + x0, y, x1 - x0, height, colour, names[name[i]]);
    else addToBins(view, x0, x1, colour, weight);
  }
  return busy / perSecond;
}

function addToBins({ sums, theme }, x0, x1, colour, weight) {
  const kinds = theme.colours.length;
  for (let bin = Math.floor(x0 / BIN); bin * BIN <= x1; bin++) {
    // A task without length still leaves a trace of its kind.
    const inside = Math.max(Math.min(x1, (bin + 1) * BIN) - Math.max(x0, bin * BIN), 0.01);
    sums[bin * kinds + colour] += (inside / BIN) * weight;
  }
}

/** Whether no neighbour in the row comes nearer than `gap` seconds. */
function isAlone(model, row, i, gap) {
  const { start, end, offset } = model;
  return (i === offset[row] || start[i] - end[i - 1] >= gap) && (i + 1 === offset[row + 1] || start[i + 1] - end[i] >= gap);
}

function drawTask(view, x, y, width, height, colour, name) {
  const { context, theme } = view;
  context.fillStyle = theme.colours[colour];
  if (width > 10 && height > 6) {
    context.beginPath();
    context.roundRect(x + 0.5, y, width - 1, height, 2.5);
    context.fill();
  } else {
    context.fillRect(x, y, width > 4 ? width - 0.8 : width, height);
  }
  if (width > 30 && height >= 12 && colour < theme.colours.length - 1) {
    const text = shortened(context, name, width - 10, theme, 11);
    if (text.length > 2) write(view, text, x + 5.5, y + height / 2 + 0.5, { colour: theme.onColour[colour], size: 11 });
  }
}

function drawBins(view, left, y, height) {
  const { context, theme, sums, base } = view;
  const kinds = theme.colours.length;
  base.fill(0);
  for (let colour = 0; colour < kinds; colour++) {
    context.fillStyle = theme.colours[colour];
    for (let bin = 0, at = colour; bin < base.length; bin++, at += kinds) {
      if (sums[at] === 0) continue;
      const tall = Math.max(1, Math.min(height - base[bin], sums[at] * height));
      context.fillRect(left + bin * BIN, y + height - base[bin] - tall, BIN, tall);
      base[bin] = Math.min(height, base[bin] + tall);
    }
  }
  sums.fill(0);
}

/** Mark the chain of causes: a bar under each task, and curves from cause to task where there are few enough to follow. */
function drawChain(view) {
  const { context, layout, theme, model, chain, t0, t1 } = view;
  const seen = chain.filter((task) => model.end[task] >= t0 && model.start[task] <= t1);
  context.fillStyle = context.strokeStyle = theme.text;
  for (const task of seen) {
    const { y, height } = placeOf(view, task);
    const x = Math.max(layout.gutter, xOf(view, model.start[task]));
    context.fillRect(x, y + height - 3, Math.max(1.5, Math.min(layout.width, xOf(view, model.end[task])) - x), 3);
  }
  if (chain.length) outline(view, chain[0]);
  if (seen.length > 250) return;
  context.lineWidth = 1.3;
  context.globalAlpha = 0.75;
  context.beginPath();
  for (let n = 0; n + 1 < chain.length; n++) {
    const [task, cause] = [chain[n], chain[n + 1]];
    if (model.start[task] < t0 || model.end[cause] > t1) continue;
    const [from, to] = [placeOf(view, cause), placeOf(view, task)];
    const [x0, y0] = [xOf(view, model.end[cause]), from.y + from.height / 2];
    const [x1, y1] = [xOf(view, model.start[task]), to.y + to.height / 2];
    if (from.y === to.y) continue; // the bars of one row already join
    const bend = Math.max(8, Math.min(60, (x1 - x0) / 2));
    context.moveTo(x0, y0);
    context.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
  }
  context.stroke();
  context.globalAlpha = 1;
}

function outline(view, task) {
  const { context, layout, model } = view;
  const { y, height } = placeOf(view, task);
  const x = Math.max(layout.gutter, xOf(view, model.start[task]));
  context.lineWidth = 2;
  context.strokeRect(x, y + 1, Math.max(2, Math.min(layout.width, xOf(view, model.end[task])) - x), height - 2);
}

function drawScroll(view) {
  const { context, layout, theme } = view;
  const length = (layout.lanesHeight / layout.content) * layout.lanesHeight;
  context.fillStyle = theme.soft;
  context.globalAlpha = 0.5;
  context.fillRect(layout.width - 4, LANES_TOP + (view.scroll / layout.content) * layout.lanesHeight, 4, length);
  context.globalAlpha = 1;
}

/** A strip: mean of each pixel as an area, the peak behind it, the limit as a dashed line. */
function drawCounter(view, counter, place) {
  const { context, layout, theme, t0, t1 } = view;
  const limited = counter.limit !== null && counter.limit <= 4 * counter.top;
  const top = (limited ? Math.max(counter.limit, counter.top) : counter.top) * 1.08 || 1;
  const bottom = place.y + place.height;
  const yAt = (value) => bottom - (value / top) * place.height;
  context.fillStyle = theme.lane;
  context.fillRect(layout.gutter, place.y, layout.plot, place.height);
  const perPixel = (t1 - t0) / layout.plot;
  const mean = new Path2D();
  const peak = new Path2D();
  peak.moveTo(layout.gutter, bottom);
  let step = stepAt(counter, t0);
  let before = integralTo(counter, t0);
  let highest = 0;
  for (let pixel = 0; pixel < layout.plot; pixel++) {
    const until = t0 + (pixel + 1) * perPixel;
    let most = step < 0 ? 0 : counter.value[step];
    while (step + 1 < counter.time.length && counter.time[step + 1] < until) most = Math.max(most, counter.value[++step]);
    const after = step < 0 ? 0 : counter.integral[step] + counter.value[step] * (until - counter.time[step]);
    const y = yAt(Math.max(0, (after - before) / perPixel));
    before = after;
    highest = Math.max(highest, most);
    mean[pixel ? "lineTo" : "moveTo"](layout.gutter + pixel, y);
    peak.lineTo(layout.gutter + pixel, yAt(most));
  }
  mean.lineTo(layout.width, yAt(Math.max(0, step < 0 ? 0 : counter.value[step])));
  const area = new Path2D(mean);
  for (const path of [area, peak]) {
    path.lineTo(layout.width, bottom);
    path.lineTo(layout.gutter, bottom);
  }
  context.fillStyle = context.strokeStyle = theme.accent;
  for (const [path, alpha] of [[peak, 0.16], [area, 0.22]]) {
    context.globalAlpha = alpha;
    context.fill(path);
  }
  context.globalAlpha = 1;
  context.lineWidth = 1.3;
  context.stroke(mean);
  if (limited) dashed(view, yAt(counter.limit));
  const peakText = `peak ${quantity(highest, counter.unit)}`;
  const limitText = counter.limit === null ? "" : ` of ${quantity(counter.limit, counter.unit)}`;
  if (layout.narrow) {
    write(view, counter.name, 0, place.y - 8, { weight: 500 });
    write(view, peakText + limitText, layout.width, place.y - 8, { colour: theme.soft, size: 11, align: "right" });
  } else {
    write(view, shortened(context, counter.name, layout.gutter - 12, theme, 12), 0, place.y + 10, { weight: 500 });
    write(view, peakText, 0, place.y + 26, { colour: theme.soft, size: 11 });
    write(view, limitText.trim(), 0, place.y + 40, { colour: theme.soft, size: 11 });
  }
}

function dashed(view, y) {
  const { context, layout, theme } = view;
  context.strokeStyle = theme.soft;
  context.setLineDash([5, 4]);
  context.beginPath();
  context.moveTo(layout.gutter, y);
  context.lineTo(layout.width, y);
  context.stroke();
  context.setLineDash([]);
}

function drawCrosshair(view) {
  const { context, layout, theme, pointer } = view;
  if (pointer.x < layout.gutter) return;
  context.strokeStyle = theme.soft;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(Math.round(pointer.x) + 0.5, AXIS.y + AXIS.height);
  context.lineTo(Math.round(pointer.x) + 0.5, layout.height);
  context.stroke();
  const time = timeAt(view, pointer.x);
  view.model.counters.forEach((counter, i) => {
    const step = stepAt(counter, time);
    const text = quantity(step < 0 ? 0 : counter.value[step], counter.unit, 4);
    const right = pointer.x > layout.width - 90;
    write(view, text, pointer.x + (right ? -6 : 6), layout.counters[i].y + 9, { size: 11, weight: 600, align: right ? "right" : "left" });
  });
}

function xOf(view, time) {
  return view.layout.gutter + ((time - view.t0) / (view.t1 - view.t0)) * view.layout.plot;
}

function timeAt(view, x) {
  return view.t0 + ((x - view.layout.gutter) / view.layout.plot) * (view.t1 - view.t0);
}

/** The row of a task, as y and height on the canvas. */
function placeOf(view, task) {
  const { model, layout } = view;
  const row = firstAfter(model.offset, task, 0, model.offset.length) - 1;
  const lane = model.lane[row];
  const place = layout.lanes[lane];
  return { y: LANES_TOP + place.y - view.scroll + (row - model.laneRows[lane].first) * place.row, height: place.row };
}

function write(view, text, x, y, { colour = view.theme.text, size = 12, weight = 400, align = "left" } = {}) {
  const { context, theme } = view;
  context.font = `${weight} ${size}px ${theme.font}`;
  context.textAlign = align;
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

/** `text` cut with an ellipsis so that it is at most `width` pixels wide. */
function shortened(context, text, width, theme, size) {
  const fits = Math.floor(width / (size * 0.42)); // most letters that could fit; spares measuring long names
  let short = text.length > fits ? `${text.slice(0, Math.max(0, fits - 1))}…` : text;
  context.font = `400 ${size}px ${theme.font}`;
  while (short.length > 1 && context.measureText(short).width > width) short = `${short.slice(0, -2)}…`;
  return short;
}

