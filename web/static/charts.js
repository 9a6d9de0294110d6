// Draws canvases from the points that they carry. The tables beside them say the same, and are closed once it is drawn.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map();

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    return {
      text: colour("--quiet"), line: colour("--line"), surface: colour("--surface"), bar: colour("--chart-1"),
      slices: [1, 2, 3, 4, 5, 6, 7].map((number) => colour(`--chart-${number}`)),
    };
  }

  // Names are data of other people: a long one must not push the chart away.
  const short = (name) => (name.length > 28 ? `${name.slice(0, 27)}…` : name);

  function bars(points, ink) {
    const number = { callback: (value) => value.toLocaleString("en-US"), color: ink.text, maxTicksLimit: 5 };
    // Without the year, which all of them share.
    const day = { color: ink.text, maxRotation: 0, autoSkipPadding: 12, callback: (_, index) => points[index].name.replace(/ \d+$/, "") };
    return {
      type: "bar",
      data: datasets(points, { backgroundColor: ink.bar, borderRadius: 3, maxBarThickness: 40 }),
      options: {
        scales: {
          x: { ticks: day, grid: { display: false }, border: { color: ink.line } },
          y: { ticks: number, grid: { color: ink.line }, border: { display: false }, beginAtZero: true },
        },
      },
    };
  }

  function pie(points, ink) {
    const labels = { color: ink.text, boxWidth: 12, boxHeight: 12, usePointStyle: true };
    return {
      type: "doughnut",
      data: datasets(points, { backgroundColor: ink.slices, borderColor: ink.surface, borderWidth: 2 }),
      options: { cutout: "58%", plugins: { legend: { display: true, position: "bottom", labels } } },
    };
  }

  function datasets(points, look) {
    return { labels: points.map((point) => short(point.name)), datasets: [{ data: points.map((point) => point.value), ...look }] };
  }

  function draw(canvas) {
    const points = JSON.parse(canvas.dataset.points);
    const ink = colours();
    const chart = canvas.dataset.chart === "bar" ? bars(points, ink) : pie(points, ink);
    const said = (item) => `${points[item.dataIndex].credits} credits`;
    const plugins = { legend: { display: false }, ...chart.options.plugins, tooltip: { callbacks: { label: said } } };
    Object.assign(chart.options, { animation: false, maintainAspectRatio: false, plugins });
    drawn.get(canvas)?.destroy();
    canvas.hidden = false;
    canvas.parentElement.classList.add("drawn");
    drawn.set(canvas, new Chart(canvas, chart));
  }

  function drawAll() {
    document.querySelectorAll("canvas[data-chart]").forEach(draw);
  }

  drawAll();
  document.querySelectorAll("details.figures").forEach((details) => details.removeAttribute("open"));
  dark.addEventListener("change", drawAll);
})();
