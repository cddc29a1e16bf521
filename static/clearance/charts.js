// Draws every chart of a page from the JSON beside it, in the page's colours and direction; the table behind a chart
// says the same to whoever doesn't see it. Nothing moves. Series differ by pattern or dash, not by colour alone.
"use strict";
(() => {
  const page = document.documentElement;
  const isRightToLeft = page.dir === "rtl";
  // Digits as the page writes them: Latin in Arabic too.
  const told = (value, decimals) =>
    value.toLocaleString("en", {minimumFractionDigits: decimals, maximumFractionDigits: decimals});
  const colour = (name) => getComputedStyle(page).getPropertyValue(name).trim();

  function hatched(ink) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.strokeStyle = ink;
    pen.lineWidth = 2;
    pen.beginPath();
    for (const start of [-8, 0, 8]) {
      pen.moveTo(start, 8);
      pen.lineTo(start + 8, 0);
    }
    pen.stroke();
    return pen.createPattern(tile, "repeat");
  }

  function dataset(series, place, kind) {
    const ink = colour(`--chart-${place + 1}`);
    const fill = place ? hatched(ink) : ink;
    const line = {borderDash: place ? [6, 4] : [], pointStyle: place ? "rectRot" : "circle", pointRadius: 4, tension: 0};
    return {
      label: series.name,
      data: series.values,
      borderColor: ink,
      borderWidth: 2,
      backgroundColor: kind === "line" ? ink : fill,
      ...(kind === "line" ? line : {maxBarThickness: 40}),
    };
  }

  function scale(ink, lines, more) {
    return {ticks: {color: ink, ...more}, grid: {color: lines, drawTicks: false}, border: {color: lines}};
  }

  function options({kind, decimals, series}) {
    const ink = colour("--body-quiet-color");
    const lines = colour("--hairline-color");
    const isStacked = kind === "stacked";
    const short = (value) => (Math.abs(value) >= 10000 ? `${told(value / 1000, 0)}k` : told(value, value % 1 ? 1 : 0));
    return {
      animation: false,
      maintainAspectRatio: false,
      layout: {padding: {left: isRightToLeft ? 24 : 0}},  // slanted labels reach beyond the last bar there
      scales: {
        x: {...scale(ink, "transparent", {maxRotation: 45, autoSkipPadding: 8}), reverse: isRightToLeft, stacked: isStacked},
        y: {
          ...scale(ink, lines, {callback: short, precision: decimals ? undefined : 0, maxTicksLimit: 6}),
          position: isRightToLeft ? "right" : "left",
          stacked: isStacked,
          beginAtZero: true,
        },
      },
      plugins: {
        legend: {
          display: series.length > 1,
          rtl: isRightToLeft,
          textDirection: page.dir,
          labels: {color: ink, boxWidth: 16, usePointStyle: kind === "line"},
        },
        tooltip: {
          rtl: isRightToLeft,
          textDirection: page.dir,
          callbacks: {label: ({dataset, parsed}) => `${dataset.label}: ${told(parsed.y, decimals)}`},
        },
      },
    };
  }

  function draw(canvas) {
    const given = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
    Chart.getChart(canvas)?.destroy();
    new Chart(canvas, {
      type: given.kind === "line" ? "line" : "bar",
      data: {labels: given.labels, datasets: given.series.map((one, place) => dataset(one, place, given.kind))},
      options: options(given),
    });
  }

  function drawAll() {
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    document.querySelectorAll("canvas[data-chart]").forEach(draw);
  }

  drawAll();
  new MutationObserver(drawAll).observe(page, {attributeFilter: ["data-theme"]});
  for (const medium of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(medium).addEventListener("change", drawAll);
  }
})();
