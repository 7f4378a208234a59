// The timeline's data and the questions that drawing and pointing ask of it. Columns are sorted by row, then start.

const ARRAYS = { f8: Float64Array, f4: Float32Array, u4: Uint32Array, i4: Int32Array, u2: Uint16Array };

/** Columns out of the packed block (layout: _with_header of timeline_view.py). */
function readTimeline(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const columns = {};
  for (const [name, [type, offset, length]] of Object.entries(header.arrays)) {
    columns[name] = new ARRAYS[type](buffer, 4 + size + offset, length);
  }
  const counters = header.counters.map((counter, i) => summed({ ...counter, time: columns[`time${i}`], value: columns[`value${i}`] }, header.span[1]));
  const model = { ...header, ...columns, counters, tasks: columns.start.length, rows: columns.lane.length };
  model.lit = new Uint8Array(model.tasks).fill(1); // 0: dimmed by the legend or the search
  model.laneRows = rowsOfLanes(model);
  return model;
}

function rowsOfLanes(model) {
  const lanes = model.lanes.map(() => ({ first: 0, rows: 0 }));
  for (let row = model.rows - 1; row >= 0; row--) {
    lanes[model.lane[row]].first = row;
    lanes[model.lane[row]].rows++;
  }
  return lanes;
}

/** The running integral of a step function, so that the mean over any window is two look-ups. */
function summed(counter, end) {
  const { time, value } = counter;
  const integral = new Float64Array(time.length + 1);
  let top = 0;
  for (let i = 0; i < time.length; i++) {
    integral[i + 1] = integral[i] + value[i] * ((i + 1 < time.length ? time[i + 1] : Math.max(end, time[i])) - time[i]);
    top = Math.max(top, value[i]);
  }
  return { ...counter, integral, top };
}

/** Index of the first entry of `sorted`, from `low` to `high`, that is greater than `key`. */
function firstAfter(sorted, key, low, high) {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] > key) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Step in force at `time`; -1 before the first one. */
function stepAt(counter, time) {
  return firstAfter(counter.time, time, 0, counter.time.length) - 1;
}

/** Integral of a counter from its first step to `time`. */
function integralTo(counter, time) {
  const step = stepAt(counter, time);
  return step < 0 ? 0 : counter.integral[step] + counter.value[step] * (time - counter.time[step]);
}

/** The first task of `row` that ends after `time` (rows hold few overlaps: the one before may still run). */
function firstTask(model, row, time) {
  return firstAfter(model.end, time, model.offset[row], model.offset[row + 1]);
}

/** Tasks of some rows that touch [from, to]: how many, the longest, busy seconds inside the window and seconds by kind. */
function tasksIn(model, first, rows, from, to) {
  const found = { count: 0, longest: -1, busy: 0, byKind: new Map() };
  for (let row = first; row < first + rows; row++) addTasks(model, row, from, to, found);
  return found;
}

function addTasks(model, row, from, to, found) {
  for (let i = Math.max(model.offset[row], firstTask(model, row, from) - 1); i < model.offset[row + 1] && model.start[i] <= to; i++) {
    if (model.end[i] < from) continue;
    const inside = Math.max(0, Math.min(to, model.end[i]) - Math.max(from, model.start[i]));
    found.count++;
    found.busy += inside;
    found.byKind.set(model.kind[i], (found.byKind.get(model.kind[i]) ?? 0) + inside);
    if (found.longest < 0 || model.end[i] - model.start[i] > model.end[found.longest] - model.start[found.longest]) found.longest = i;
  }
}

/** The chain of causes that led to `task`, itself first. */
function causesOf(model, task) {
  const chain = [];
  const seen = new Set();
  for (let at = task; at >= 0 && !seen.has(at); at = model.cause ? model.cause[at] : -1) {
    seen.add(at);
    chain.push(at);
  }
  return chain;
}

/** The task that ends last: the end of the critical path. */
function lastTask(model) {
  let last = -1;
  for (let i = 0; i < model.tasks; i++) if (last < 0 || model.end[i] > model.end[last]) last = i;
  return last;
}

/** Busy seconds by kind over the whole run, and how many tasks each kind has. */
function totalsByKind(model) {
  const totals = model.kinds.map(() => ({ busy: 0, count: 0 }));
  for (let i = 0; i < model.tasks; i++) {
    totals[model.kind[i]].busy += model.end[i] - model.start[i];
    totals[model.kind[i]].count++;
  }
  return totals;
}

/** Dim every task whose kind is switched off or whose name lacks the text that is searched for; gives the number found. */
function light(model, hiddenKinds, text) {
  const wanted = text.trim().toLowerCase();
  const fits = model.names.map((name) => name.toLowerCase().includes(wanted));
  let found = 0;
  for (let i = 0; i < model.tasks; i++) {
    model.lit[i] = fits[model.name[i]] && !hiddenKinds.has(model.kind[i]) ? 1 : 0;
    found += model.lit[i];
  }
  return found;
}

/** Busy share by kind of all lanes together in `bins` equal parts of the run: the picture of the overview. */
function overview(model, bins) {
  const [from, to] = model.span;
  const width = (to - from) / bins || 1;
  const sums = new Float64Array(bins * model.kinds.length);
  for (let i = 0; i < model.tasks; i++) {
    const first = Math.min(bins - 1, Math.floor((model.start[i] - from) / width));
    const last = Math.min(bins - 1, Math.floor((model.end[i] - from) / width));
    for (let bin = first; bin <= last; bin++) {
      const inside = Math.min(model.end[i], from + (bin + 1) * width) - Math.max(model.start[i], from + bin * width);
      sums[bin * model.kinds.length + model.kind[i]] += inside / width / model.rows;
    }
  }
  return sums;
}

