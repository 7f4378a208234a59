// Hands on the timeline: wheel, drag, brush, pinch, keys, and the tooltip.

const KEYS_TEXT = "Wheel zooms, drag pans, Shift + drag or a drag on the axis zooms to a span, double click zooms to a task, click shows what led to it. "
  + "Keys: arrows, + and −, [ and ] for the neighbouring task, 0 for the whole run.";

/** Show [t0, t1], kept inside the run and no narrower than floating point allows. */
function show(view, t0, t1) {
  const [from, to] = view.model.span;
  const width = Math.min(Math.max(t1 - t0, view.narrowest), to - from);
  view.t0 = Math.min(Math.max(t0, from), to - width);
  view.t1 = view.t0 + width;
  view.redraw();
}

function zoom(view, factor, x = view.layout.gutter + view.layout.plot / 2) {
  const time = timeAt(view, x);
  show(view, time - (time - view.t0) * factor, time + (view.t1 - time) * factor);
}

function pan(view, share) {
  const step = share * (view.t1 - view.t0);
  show(view, view.t0 + step, view.t1 + step);
}

function scrollLanes(view, by) {
  view.scroll = Math.max(0, Math.min(view.layout.content - view.layout.lanesHeight, view.scroll + by));
  view.redraw();
}

/** Select a task, follow its causes, and bring it into view. */
function select(view, task) {
  view.chain = task < 0 ? [] : causesOf(view.model, task);
  if (task >= 0) {
    const { start, end } = view.model;
    const width = Math.max(view.t1 - view.t0, (end[task] - start[task]) * 1.2);
    if (end[task] > view.t1 || start[task] < view.t0) show(view, (start[task] + end[task] - width) / 2, (start[task] + end[task] + width) / 2);
  }
  view.onSelect(task);
  view.redraw();
}

/** What lies under a point: {task}, {lane, rows, found, seconds} for many thin tasks, or null. */
function under(view, x, y) {
  const { layout, model } = view;
  const inside = y - LANES_TOP + view.scroll;
  if (x < layout.gutter || y < LANES_TOP || y > LANES_TOP + layout.lanesHeight) return null;
  const lane = layout.lanes.findIndex((place) => inside >= place.y && inside < place.y + place.height);
  if (lane < 0) return null;
  const whole = model.laneRows[lane];
  const within = Math.min(whole.rows - 1, Math.floor((inside - layout.lanes[lane].y) / layout.lanes[lane].row));
  const { first, rows } = view.joined[lane] ? whole : { first: whole.first + within, rows: 1 };
  const exact = tasksIn(model, first, rows, timeAt(view, x), timeAt(view, x));
  const near = tasksIn(model, first, rows, timeAt(view, x - BIN), timeAt(view, x + BIN));
  const task = exact.longest >= 0 ? exact.longest : near.longest;
  if (task < 0) return null;
  const pixels = ((model.end[task] - model.start[task]) / (view.t1 - view.t0)) * layout.plot;
  return pixels >= WHOLE || near.count === 1 ? { task } : { lane, found: near, rows, seconds: (2 * BIN * (view.t1 - view.t0)) / layout.plot };
}

function tooltipLines(view, hit) {
  const { model } = view;
  if (hit.task === undefined) {
    const { found, lane, rows, seconds } = hit;
    const share = (busy) => percent(Math.min(1, busy / seconds / rows));
    const kinds = [...found.byKind].sort((a, b) => b[1] - a[1]).slice(0, 4);
    return {
      title: `${found.count} tasks within ${quantity(seconds, "s")}`,
      kind: null,
      facts: [["Lane", model.lanes[lane]], ["Busy", share(found.busy)], ...kinds.map(([kind, busy]) => [model.kinds[kind] || "task", share(busy)]),
        ["Longest", model.names[model.name[found.longest]]]],
    };
  }
  const i = hit.task;
  const facts = [["Start", quantity(model.start[i], "s", 7)], ["Duration", quantity(model.end[i] - model.start[i], "s", 4)], ["Kind", model.kinds[model.kind[i]] || "–"]];
  if (model.bytes && model.bytes[i] > 0) facts.push(["Bytes", quantity(model.bytes[i], "B", 4)]);
  if (model.energy && model.energy[i] > 0) facts.push(["Energy", quantity(model.energy[i], "J", 4)]);
  if (model.cause) facts.push(["After", model.cause[i] < 0 ? "nothing" : model.names[model.name[model.cause[i]]] || `task ${model.task[model.cause[i]]}`]);
  return { title: model.names[model.name[i]] || `task ${model.task[i]}`, kind: model.kind[i], facts };
}

function showTooltip(view, hit, x, y) {
  const { tooltip } = view;
  tooltip.hidden = hit === null;
  if (hit === null) return;
  const { title, kind, facts } = tooltipLines(view, hit);
  const head = make("strong", {}, title);
  if (kind !== null) head.prepend(make("i", { style: `background:${view.model.colours[kind]}` }));
  tooltip.replaceChildren(head, make("dl", {}, ...facts.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)])));
  const width = view.canvas.clientWidth;
  const left = x + 16 + tooltip.offsetWidth > width ? x - 16 - tooltip.offsetWidth : x + 16;
  tooltip.style.left = `${Math.max(0, Math.min(left, width - tooltip.offsetWidth))}px`;
  tooltip.style.top = `${y + 14}px`;
}

function listen(view) {
  const { canvas } = view;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  listenWheel(view, at);
  listenPointers(view, at);
  canvas.addEventListener("dblclick", (event) => {
    const hit = under(view, at(event).x, at(event).y);
    if (!hit) return show(view, ...view.model.span);
    const [from, to] = hit.task === undefined ? [timeAt(view, at(event).x - 12), timeAt(view, at(event).x + 12)] : [view.model.start[hit.task], view.model.end[hit.task]];
    return show(view, from - (to - from) * 0.6, to + (to - from) * 0.6);
  });
  canvas.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && pressed(view, event.key)) event.preventDefault();
  });
}

/** The wheel zooms only where the pointer has moved since the page last scrolled: scrolling past does not get caught. */
function listenWheel(view, at) {
  let armed = false;
  view.canvas.addEventListener("pointermove", (event) => { armed ||= event.movementX !== 0 || event.movementY !== 0; });
  view.canvas.addEventListener("pointerleave", () => { armed = false; });
  window.addEventListener("scroll", () => { armed = false; }, { passive: true });
  view.canvas.addEventListener("wheel", (event) => {
    if (!armed && !event.ctrlKey) return;
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    const whole = view.t1 - view.t0 >= (view.model.span[1] - view.model.span[0]) * 0.999999;
    if (whole && (sideways || event.deltaY > 0)) return; // nothing to zoom out of: let the page scroll
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    if (sideways) pan(view, ((event.deltaX || event.deltaY) * lines) / view.layout.plot);
    else zoom(view, Math.exp(Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.0022), at(event).x);
  }, { passive: false });
}

function listenPointers(view, at) {
  const { canvas } = view;
  const down = new Map();
  let grip = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    grip = gripAt(view, at(event), event.shiftKey, down);
    showTooltip(view, null);
  });
  canvas.addEventListener("pointermove", (event) => {
    const point = at(event);
    if (down.has(event.pointerId)) {
      down.set(event.pointerId, point);
      dragged(view, grip, point, down);
      return;
    }
    view.pointer = point;
    showTooltip(view, under(view, point.x, point.y), point.x, point.y);
    view.redraw();
  });
  const up = (event) => {
    if (!down.delete(event.pointerId) || !grip) return;
    const point = at(event);
    const still = Math.abs(point.x - grip.x) + Math.abs(point.y - grip.y) < 4;
    if (grip.what === "pan" && still) {
      const hit = event.type === "pointerup" ? under(view, point.x, point.y) : null;
      select(view, hit ? hit.task ?? hit.found.longest : -1);
      showTooltip(view, hit, point.x, point.y);
    }
    if (view.brush && !still) {
      const [a, b] = view.brush.map((x) => (grip.what === "overview" ? overviewTime(view, x) : timeAt(view, x))).sort((p, q) => p - q);
      view.brush = null;
      show(view, a, b);
    }
    view.brush = null;
    grip = down.size ? gripAt(view, [...down.values()][0], false, down) : null;
    view.redraw();
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => {
    view.pointer = null;
    showTooltip(view, null);
    view.redraw();
  });
}

function overviewTime(view, x) {
  const [from, to] = view.model.span;
  return from + ((x - view.layout.gutter) / view.layout.plot) * (to - from);
}

/** What a press at `point` takes hold of: the window in the overview, a brush, the lanes, or (two fingers) both ends. */
function gripAt(view, point, shift, down) {
  const grip = { ...point, t0: view.t0, t1: view.t1, scroll: view.scroll };
  if (down.size === 2) {
    const [a, b] = [...down.values()];
    return { ...grip, what: "pinch", times: [timeAt(view, a.x), timeAt(view, b.x)] };
  }
  if (point.y < OVERVIEW.height) {
    const whole = view.t1 - view.t0 >= (view.model.span[1] - view.model.span[0]) * 0.999999;
    if (whole || shift) return { ...grip, what: "overview" };
    const time = overviewTime(view, point.x);
    const width = view.t1 - view.t0;
    if (time < view.t0 || time > view.t1) show(view, time - width / 2, time + width / 2);
    return { ...grip, what: "window", t0: view.t0, t1: view.t1 };
  }
  return { ...grip, what: shift || point.y < LANES_TOP ? "brush" : "pan" };
}

function dragged(view, grip, point, down) {
  const moved = point.x - grip.x;
  if (grip.what === "brush" || grip.what === "overview") {
    view.brush = [Math.max(view.layout.gutter, grip.x), Math.max(view.layout.gutter, point.x)];
    view.redraw();
  } else if (grip.what === "window") {
    const by = (moved / view.layout.plot) * (view.model.span[1] - view.model.span[0]);
    show(view, grip.t0 + by, grip.t1 + by);
  } else if (grip.what === "pinch" && down.size === 2) {
    const [a, b] = [...down.values()].map((finger) => finger.x - view.layout.gutter);
    const perPixel = (grip.times[1] - grip.times[0]) / (b - a || 1);
    if (perPixel > 0) show(view, grip.times[0] - a * perPixel, grip.times[0] + (view.layout.plot - a) * perPixel);
  } else if (grip.what === "pan") {
    const by = (moved / view.layout.plot) * (grip.t1 - grip.t0);
    view.scroll = grip.scroll;
    scrollLanes(view, grip.y - point.y);
    show(view, grip.t0 - by, grip.t1 - by);
  }
}

function pressed(view, key) {
  const task = view.chain.length ? view.chain[0] : -1;
  const actions = {
    ArrowLeft: () => pan(view, -0.15), ArrowRight: () => pan(view, 0.15), ArrowUp: () => scrollLanes(view, -40), ArrowDown: () => scrollLanes(view, 40),
    "+": () => zoom(view, 0.7), "=": () => zoom(view, 0.7), "-": () => zoom(view, 1 / 0.7), 0: () => show(view, ...view.model.span),
    Home: () => show(view, ...view.model.span), Escape: () => select(view, -1),
    "]": () => select(view, Math.min(view.model.tasks - 1, task + 1)), "[": () => select(view, Math.max(0, task - 1)),
  };
  actions[key]?.();
  return key in actions;
}

