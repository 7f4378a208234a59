// Numbers, theme and unpacking, shared by the scripts below. All files of this folder are joined into one closed function.

const PREFIXES = [["P", 1e15], ["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3], ["", 1], ["m", 1e-3], ["µ", 1e-6], ["n", 1e-9], ["p", 1e-12], ["f", 1e-15]];

const BINARY_PREFIXES = [["Ti", 2 ** 40], ["Gi", 2 ** 30], ["Mi", 2 ** 20], ["Ki", 2 ** 10]];

/** The prefix and its size that fit a value: 2.6e-3 -> ["m", 1e-3]; sizes in bytes take binary ones. */
function prefixOf(value, unit = "") {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(size)) return ["", 1];
  if (unit === "B") return BINARY_PREFIXES.find(([, scale]) => size >= scale * 0.9995) ?? ["", 1];
  return PREFIXES.find(([, scale]) => size >= scale * 0.9995) ?? PREFIXES[PREFIXES.length - 1];
}

/** A value with `digits` significant digits and an SI prefix: (2.613e-3, "s") -> "2.61 ms". */
function quantity(value, unit, digits = 3) {
  if (unit === "") return Number.isInteger(value) ? value.toLocaleString("en").replaceAll(",", "\u202f") : String(+value.toPrecision(4));
  const [prefix, scale] = prefixOf(value, unit);
  return `${+(value / scale).toPrecision(digits)} ${prefix}${unit}`;
}

/** A share as a percentage: 0.4136 -> "41 %". */
function percent(share) {
  const hundredths = 100 * share;
  return `${hundredths === 0 || hundredths >= 10 ? Math.round(hundredths) : hundredths.toPrecision(hundredths < 1 ? 1 : 2)} %`;
}

/** A colour of the page's theme, by the name of its CSS variable. */
function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const themeWatchers = [];

/** Call `redraw` whenever the theme changes: the reader's preference, or a print, which is always light. */
function onThemeChange(redraw) {
  themeWatchers.push(redraw);
}

function watchTheme() {
  const announce = () => themeWatchers.forEach((redraw) => redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", announce);
  matchMedia("print").addEventListener("change", announce);
}

/** Undo `pack` of markup.py: base64 and deflate. Gives an ArrayBuffer. */
async function unpack(element) {
  const packed = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** A new element: make("button", {type: "button", title: "Zoom in"}, "+"). Text is never read as HTML. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

