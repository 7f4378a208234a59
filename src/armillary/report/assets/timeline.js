// One timeline view: toolbar, legend, canvas, tooltip.

async function startTimeline(host) {
  const model = readTimeline(await unpack(host.querySelector("script")));
  const view = viewOf(host, model);
  host.replaceChildren(toolbar(view), view.stage, view.detail);
  const resize = () => {
    const width = host.clientWidth;
    if (width === 0) return;
    const layout = layoutOf(model, width, Number(host.dataset.height));
    const scale = window.devicePixelRatio || 1;
    Object.assign(view, { layout, scale, theme: themeOf(model), base: new Float32Array(Math.ceil(layout.plot / BIN) + 3) });
    view.sums = new Float32Array(view.base.length * view.theme.colours.length);
    view.canvas.width = Math.round(width * scale);
    view.canvas.height = Math.round(layout.height * scale);
    view.canvas.style.height = `${layout.height}px`;
    scrollLanes(view, 0);
    view.paint();
  };
  resize();
  new ResizeObserver(resize).observe(host);
  onThemeChange(resize);
  listen(view);
}

function viewOf(host, model) {
  const canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": host.dataset.label, title: "" });
  const tooltip = make("div", { class: "tip", role: "status", hidden: "" });
  const bins = 400;
  const sums = overview(model, bins);
  const tops = Array.from({ length: bins }, (_, bin) => sums.subarray(bin * model.kinds.length, (bin + 1) * model.kinds.length).reduce((a, b) => a + b, 0));
  const view = {
    model, canvas, tooltip, context: canvas.getContext("2d"), stage: make("div", { class: "stage" }, canvas, tooltip),
    detail: make("p", { class: "hint" }, KEYS_TEXT),
    t0: model.span[0], t1: model.span[1] > model.span[0] ? model.span[1] : model.span[0] + 1e-12,
    narrowest: Math.max(1e-14, (model.span[1] - model.span[0]) * 1e-9),
    scroll: 0, pointer: null, brush: null, chain: [], joined: [], overview: sums, overviewTop: Math.max(...tops, 1e-9),
  };
  model.span[1] = view.t1;
  view.paint = () => {
    const began = performance.now();
    drawTimeline(view);
    canvas.dataset.frameMs = (performance.now() - began).toFixed(2);
    canvas.dataset.window = `${view.t0} ${view.t1}`;
  };
  let waiting = false;
  view.redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      view.paint();
    });
  };
  view.onSelect = (task) => {
    view.detail.textContent = task < 0 ? KEYS_TEXT : chainText(view, task);
  };
  return view;
}

/** One line on the selected task and the time on its chain of causes. */
function chainText(view, task) {
  const { model, chain } = view;
  const name = model.names[model.name[task]] || `task ${model.task[task]}`;
  if (!model.cause) return `${name}: ${quantity(model.end[task] - model.start[task], "s", 4)} from ${quantity(model.start[task], "s", 7)}.`;
  const busy = new Map();
  for (const link of chain) busy.set(model.kind[link], (busy.get(model.kind[link]) ?? 0) + model.end[link] - model.start[link]);
  const parts = [...busy].sort((a, b) => b[1] - a[1]).slice(0, 4).map(([kind, seconds]) => `${model.kinds[kind] || "task"} ${quantity(seconds, "s")}`);
  return `${name} ends at ${quantity(model.end[task], "s", 5)}, after a chain of ${quantity(chain.length, "")} tasks: ${parts.join(", ")}.`;
}

function toolbar(view) {
  const button = (label, text, act) => {
    const element = make("button", { type: "button", title: label, "aria-label": label }, text);
    element.addEventListener("click", act);
    return element;
  };
  const buttons = make("div", { class: "buttons" }, button("Zoom in", "+", () => zoom(view, 0.6)), button("Zoom out", "−", () => zoom(view, 1 / 0.6)),
    button("Show the whole run", "Whole run", () => show(view, ...view.model.span)));
  if (view.model.cause) buttons.append(button("Show the chain of causes that ends the run", "Critical path", () => select(view, lastTask(view.model))));
  return make("div", { class: "toolbar" }, legend(view), search(view), buttons);
}

/** Kinds with their colour and busy time; a click switches a kind off and on. */
function legend(view) {
  const { model } = view;
  const totals = totalsByKind(model);
  const list = make("div", { class: "legend", role: "group", "aria-label": "Kinds of tasks" });
  model.kinds.forEach((kind, i) => {
    if (totals[i].count === 0) return;
    const entry = make("button", { type: "button", "aria-pressed": "true", title: `${quantity(totals[i].count, "")} tasks, ${quantity(totals[i].busy, "s")} in all` },
      make("i", { style: `background:${model.colours[i]}` }), kind || "other");
    entry.addEventListener("click", () => {
      const on = view.hidden.delete(i) || !view.hidden.add(i);
      entry.setAttribute("aria-pressed", String(on));
      relight(view);
    });
    list.append(entry);
  });
  view.hidden = new Set();
  view.wanted = "";
  return list;
}

function search(view) {
  const field = make("input", { type: "search", placeholder: "Find tasks", "aria-label": "Find tasks by name", spellcheck: "false" });
  const count = make("output", {});
  field.addEventListener("input", () => {
    view.wanted = field.value;
    const found = relight(view);
    count.textContent = view.wanted.trim() ? quantity(found, "") : "";
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const from = view.chain.length ? view.chain[0] + 1 : 0;
    const next = view.model.lit.indexOf(1, from);
    select(view, next >= 0 ? next : view.model.lit.indexOf(1));
  });
  return make("label", { class: "search" }, field, count);
}

function relight(view) {
  const found = light(view.model, view.hidden, view.wanted);
  view.redraw();
  return found;
}

