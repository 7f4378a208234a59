// Bring the page to life.

watchTheme();
document.querySelectorAll(".table table").forEach(sortable);
const ready = Promise.all([...[...document.querySelectorAll(".timeline")].map(startTimeline), drawCharts()]);
ready.then(
  () => { document.documentElement.dataset.ready = "yes"; },
  (error) => {
    document.documentElement.dataset.ready = "failed";
    document.body.prepend(make("p", { class: "failed" }, `This page could not be drawn (${error.message}). It needs a browser of 2023 or later.`));
    throw error;
  },
);
