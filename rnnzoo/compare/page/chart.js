"use strict";
/* Learning curves of the groups, along any axis. Reads the page's data; see rnnzoo/compare/page_curves.py. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const holder = document.getElementById("chart");
  if (!holder || !data.series.length) return;
  const $ = id => document.getElementById("chart-" + id);
  const hidden = new Set(), COLOURS = data.colours.length, SVG = "http://www.w3.org/2000/svg";
  const HEIGHT = 380, TOP = 14, BOTTOM = 46, LEFT = 58, GAP = 16;
  let cursor = null, drawn = null;

  const make = (name, attributes, parent, text) => {
    const element = document.createElementNS(SVG, name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const dash = group => ["", "7 4", "2 3"][Math.floor(group / COLOURS) % 3];
  const short = (text, most) => text.length > most ? text.slice(0, most - 1) + "\u2026" : text;
  const say = value => {
    const size = Math.abs(value);
    if (size >= 1e9) return +(value / 1e9).toPrecision(4) + "G";
    if (size >= 1e6) return +(value / 1e6).toPrecision(4) + "M";
    if (size >= 1e4) return +(value / 1e3).toPrecision(4) + "k";
    return String(+value.toPrecision(4));
  };
  const ticks = (low, high, count) => {
    const span = high - low || Math.abs(high) || 1, power = 10 ** Math.floor(Math.log10(span / count));
    const step = power * [1, 2, 5, 10].find(factor => span / (power * factor) <= count);
    const marks = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) marks.push(n * step);
    return marks;
  };
  /* One line for each run that has the metric along the axis. */
  const lines = (metric, axis, log) => {
    const known = ([x, y]) => x !== null && y !== null && (!log || y > 0);
    const all = data.series.filter(([, number]) => number === metric).map(([run, , table, ys]) => {
      const points = data.tables[table][axis].map((x, index) => [x, ys[index]]).filter(known);
      return { group: data.runs[run].group, points: points.sort((a, b) => a[0] - b[0]) };
    });
    return all.filter(line => line.points.length && !hidden.has(line.group));
  };
  const at = (points, x) => {
    if (x < points[0][0] || x > points[points.length - 1][0]) return null;
    let low = 0, high = points.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points[middle][0] <= x) low = middle;
      else high = middle;
    }
    const [x0, y0] = points[low], [x1, y1] = points[high];
    return x1 === x0 ? y1 : y0 + (y1 - y0) * (x - x0) / (x1 - x0);
  };
  /* The mean of a group's runs where all of them have been: at the points of any, straight in between. */
  const means = every => [...new Set(every.map(line => line.group))].map(group => {
    const own = every.filter(line => line.group === group);
    if (own.length === 1) return { group, points: own[0].points };
    const xs = [...new Set(own.flatMap(line => line.points.map(point => point[0])))].sort((a, b) => a - b);
    const together = xs.map(x => [x, own.map(line => at(line.points, x))]);
    const points = together.filter(([, ys]) => ys.every(y => y !== null))
      .map(([x, ys]) => [x, ys.reduce((sum, y) => sum + y, 0) / ys.length]);
    return { group, points: points.length ? points : own[0].points };
  });
  const spread = heights => {
    const order = heights.map((_, index) => index).sort((a, b) => heights[a] - heights[b]), placed = [...heights];
    order.forEach((index, n) => {
      if (n) placed[index] = Math.max(placed[index], placed[order[n - 1]] + GAP);
    });
    let limit = HEIGHT - BOTTOM;
    for (const index of order.reverse()) {
      placed[index] = Math.min(placed[index], limit);
      limit = placed[index] - GAP;
    }
    return placed;
  };

  const extremes = values => values.reduce(([low, high], value) =>
    [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);

  /* Where a point is drawn, over the ranges of all points that are shown. */
  const scales = (points, log, right) => {
    const up = log ? Math.log10 : value => value;
    let [x0, x1] = extremes(points.map(point => point[0])), [y0, y1] = extremes(points.map(point => up(point[1])));
    if (x0 === x1) { x0 -= 0.5; x1 += 0.5; }
    const room = (y1 - y0 || Math.abs(y1) || 1) * 0.04;
    y0 -= room;
    y1 += room;
    const height = HEIGHT - BOTTOM - TOP;
    const Y = value => HEIGHT - BOTTOM - (value - y0) / (y1 - y0) * height;
    return {
      x0, x1, y0, y1, right,
      X: x => LEFT + (x - x0) / (x1 - x0) * (right - LEFT),
      back: pixels => x0 + (pixels - LEFT) / (right - LEFT) * (x1 - x0),
      Y: y => Y(up(y)),
      mark: Y, /* of a mark on the axis, which is a power of ten where that is logarithmic */
    };
  };

  const drawAxes = (svg, scale, log, width, name) => {
    let marks = ticks(scale.y0, scale.y1, 8);
    if (log && marks.filter(Number.isInteger).length > 1) marks = marks.filter(Number.isInteger);
    for (const mark of marks) {
      const y = scale.mark(mark);
      make("path", { class: "rule", d: `M${LEFT} ${y}H${scale.right}` }, svg);
      make("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, svg, say(log ? 10 ** mark : mark));
    }
    const below = HEIGHT - BOTTOM + 18;
    for (const mark of ticks(scale.x0, scale.x1, width < 500 ? 4 : 8))
      make("text", { x: scale.X(mark), y: below, "text-anchor": "middle" }, svg, say(mark));
    make("text", { x: (LEFT + scale.right) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, svg, name);
  };

  const drawLine = (svg, scale, line, kind) => {
    const corners = line.points.map(([x, y]) => `${scale.X(x).toFixed(1)} ${scale.Y(y).toFixed(1)}`);
    const looks = { class: `${kind} c${line.group % COLOURS}`, "stroke-dasharray": dash(line.group) };
    make("path", { ...looks, "data-group": line.group, d: "M" + corners.join("L") }, svg);
    if (corners.length > 1) return;
    const [x, y] = line.points[0];
    make("circle", { class: `f${line.group % COLOURS}`, cx: scale.X(x), cy: scale.Y(y), r: 4 }, svg);
  };

  const draw = () => {
    const metric = +$("metric").value, axis = +$("axis").value, log = $("log").checked;
    const every = lines(metric, axis, log), shown = means(every), width = Math.max(holder.clientWidth, 260);
    const axisName = data.axes[axis].replace("_", " ");
    holder.textContent = "";
    $("says").textContent = "Point at the chart, or press the arrow keys on it, to read its values.";
    const svg = make("svg", {
      viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, tabindex: 0, role: "img",
      "aria-label": `${data.metrics[metric]} along ${axisName}. Left and right arrow keys read the values.`,
    }, holder);
    if (!shown.length) {
      make("text", { x: LEFT, y: HEIGHT / 2 }, svg, "No run that is shown has this metric along this axis.");
      return;
    }
    const names = shown.map(line => short(data.groups[line.group], width < 500 ? 14 : 26));
    const right = width - 14 - 8 * Math.max(...names.map(text => text.length));
    const scale = scales(every.flatMap(line => line.points), log, right);
    drawAxes(svg, scale, log, width, axisName);
    if ($("each").checked) every.forEach(line => drawLine(svg, scale, line, "line thin"));
    shown.forEach(line => drawLine(svg, scale, line, shown.length > 8 ? "line many" : "line"));
    const ends = spread(shown.map(line => scale.Y(line.points[line.points.length - 1][1])));
    shown.forEach((line, index) => {
      const looks = { class: `label f${line.group % COLOURS}`, "data-group": line.group };
      make("text", { ...looks, x: right + 8, y: ends[index] + 4 }, svg, names[index]);
    });
    const rule = make("path", { class: "cursor", d: "" }, svg);
    const xs = new Set(shown.flatMap(line => line.points.map(point => point[0])));
    drawn = { grid: [...xs].sort((a, b) => a - b), scale, rule, shown, axisName, width, svg };
  };

  const read = index => {
    const { grid, scale, rule, shown, axisName } = drawn;
    cursor = Math.min(Math.max(index, 0), grid.length - 1);
    const x = grid[cursor];
    rule.setAttribute("d", `M${scale.X(x)} ${TOP}V${HEIGHT - BOTTOM}`);
    const values = shown.map(line => [data.groups[line.group], at(line.points, x)]).filter(([, y]) => y !== null);
    const words = values.map(([name, y]) => `${short(name, 30)} ${say(y)}`);
    $("says").textContent = `${axisName} ${say(x)}: ${words.join(", ")}`;
  };
  const near = x => drawn.grid.reduce((best, value, index) =>
    Math.abs(value - x) < Math.abs(drawn.grid[best] - x) ? index : best, 0);
  holder.addEventListener("pointermove", event => {
    if (!drawn) return;
    const box = drawn.svg.getBoundingClientRect();
    read(near(drawn.scale.back((event.clientX - box.left) * drawn.width / box.width)));
  });
  holder.addEventListener("keydown", event => {
    if (!drawn) return;
    const last = drawn.grid.length - 1;
    const keys = { ArrowRight: (cursor ?? -1) + 1, ArrowLeft: (cursor ?? last + 1) - 1, Home: 0, End: last };
    const to = keys[event.key];
    if (to !== undefined) { event.preventDefault(); read(to); }
  });

  data.groups.forEach((name, group) => {
    if (!data.series.some(([run]) => data.runs[run].group === group)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const mark = make("svg", { class: "swatch", width: 18, height: 10, "aria-hidden": "true" }, button);
    const looks = { class: `c${group % COLOURS}`, "stroke-width": 3, "stroke-dasharray": dash(group) };
    make("path", { ...looks, d: "M0 5H18" }, mark);
    button.append(short(name, 40));
    button.addEventListener("click", () => {
      if (!hidden.delete(group)) hidden.add(group);
      button.setAttribute("aria-pressed", String(!hidden.has(group)));
      redraw();
    });
    const alone = on => () => {
      if (!drawn || hidden.has(group)) return;
      drawn.svg.classList.toggle("one", on);
      drawn.svg.querySelectorAll(`[data-group="${group}"]`).forEach(mark => mark.classList.toggle("on", on));
    };
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, alone(true));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, alone(false));
    $("legend").append(button);
  });
  const redraw = () => { cursor = null; drawn = null; draw(); };
  for (const id of ["metric", "axis", "each", "log"]) $(id).addEventListener("change", redraw);
  $("each").checked = data.runs.length > data.groups.length && data.runs.length <= 24;
  let wide = 0;
  new ResizeObserver(() => {
    if (holder.clientWidth === wide) return;
    wide = holder.clientWidth;
    redraw();
  }).observe(holder);
  wide = holder.clientWidth;
  draw();
  performance.mark("interactive");
})();
