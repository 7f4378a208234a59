// Plotly charts: the figures stand in the page as data, plotly's JavaScript as one packed script.

/** Run plotly's JavaScript; the page's policy knows its hash. */
async function loadPlotly() {
  const source = new TextDecoder().decode(await unpack(document.getElementById("plotly")));
  const script = document.createElement("script");
  script.textContent = source;
  document.head.append(script);
}

function chartLayout(layout, narrow) {
  const text = themeColour("--text-soft");
  const axis = {
    gridcolor: themeColour("--line"), linecolor: themeColour("--line-strong"), zerolinecolor: themeColour("--line-strong"),
    tickcolor: themeColour("--line-strong"), ticks: "outside", ticklen: 4, showline: true, zeroline: false, automargin: true,
    title: { font: { size: 12 }, standoff: 8 },
  };
  const merged = {
    ...layout,
    template: undefined,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: text },
    margin: { l: narrow ? 48 : 64, r: 12, t: 12, b: 44 },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", itemsizing: "constant", ...layout.legend },
    hoverlabel: { bgcolor: themeColour("--card"), bordercolor: themeColour("--line-strong"), font: { color: themeColour("--text") }, align: "left" },
  };
  for (const key of Object.keys(layout).filter((name) => /^[xy]axis/.test(name)).concat(["xaxis", "yaxis"])) {
    const own = layout[key] ?? {};
    merged[key] = { ...axis, ...own, title: { ...axis.title, ...own.title } };
  }
  return merged;
}

async function drawCharts() {
  const figures = [...document.querySelectorAll("figure.chart")];
  if (figures.length === 0) return;
  await loadPlotly();
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const draw = (figure) => {
    const plot = figure.querySelector(".plot");
    const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
    return window.Plotly.react(plot, data, chartLayout(layout, plot.clientWidth < 520), config);
  };
  for (const figure of figures) await draw(figure);
  onThemeChange(() => figures.forEach(draw));
}

