// The dashboard lives without reload: parts of it are fetched as HTML every ten seconds and put in place where they differ; charts are drawn when
// they come into sight, with a plotly of our own that is loaded then. It rests while nobody looks, and says when what it shows is old.
(function () {
  "use strict";
  var script = document.currentScript, root = document.querySelector("[data-mg-dashboard]");
  if (!root) { return; }
  var EVERY = 10000, LONGEST = 120000, failures = 0, timer = 0, shown = {}, library = null;
  var note = root.querySelector("[data-mg-note]"), calm = note.textContent, since = new Date();
  function all(selector) { return Array.from(root.querySelectorAll(selector)); }
  function pad(n) { return String(n).padStart(2, "0"); }
  function local(iso) { // the viewer's own clock; plotly knows no zones
    var d = new Date(iso);
    return d.getFullYear() + "-" + pad(d.getMonth() + 1) + "-" + pad(d.getDate()) + " " + pad(d.getHours()) + ":" + pad(d.getMinutes()) + ":" + pad(d.getSeconds());
  }
  function get(url) {
    return fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" } }).then(function (answer) {
      if (answer.redirected || answer.status === 403) { throw new Error("You are logged out: reload the page."); }
      if (answer.status === 503) { throw new Error("The control database is slow; writes are not affected."); }
      if (!answer.ok) { throw new Error("The server does not answer."); }
      return answer.json();
    });
  }

  // --- parts
  function arrived() { // the first write: what was hidden until then is of use now
    var later = root.querySelector("[data-mg-later]");
    if (later && later.hidden && root.querySelector("#mg-first[data-mg-arrived]")) { later.hidden = false; look(); }
  }
  function put(name, html) {
    var box = root.querySelector('[data-mg-part="' + name + '"]');
    if (!box || shown[name] === html) { return; }
    var first = !(name in shown), inside = box.contains(document.activeElement) ? document.activeElement : null;
    shown[name] = html;
    if (first && box.innerHTML.trim() === html.trim()) { return; }
    var href = inside && inside.getAttribute("href");
    box.innerHTML = html;
    var again = href && Array.from(box.querySelectorAll("a")).find(function (a) { return a.getAttribute("href") === href; });
    if (again) { again.focus({ preventScroll: true }); }
  }
  function look() {
    clearTimeout(timer);
    if (document.hidden) { return Promise.resolve(); }
    return get(root.dataset.mgDashboard).then(function (answer) {
      Object.keys(answer.parts).forEach(function (name) { put(name, answer.parts[name]); });
      failures = 0;
      since = new Date();
      note.textContent = calm;
      note.classList.remove("mg-note-old");
      all("[data-mg-chart]").filter(function (box) { return box.mgSeen || open(box); }).forEach(refresh);
    }).catch(function (error) {
      failures += 1;
      note.textContent = error.message + " What you see is of " + since.toLocaleTimeString() + "; trying again.";
      note.classList.add("mg-note-old");
    }).then(function () { timer = setTimeout(look, Math.min(EVERY * Math.pow(2, failures), LONGEST)); });
  }

  // --- charts
  function plotly() {
    library = library || new Promise(function (resolve, reject) {
      var tag = document.createElement("script");
      tag.src = script.dataset.mgPlotly;
      tag.onload = function () { resolve(window.Plotly); };
      tag.onerror = function () { library = null; reject(new Error("The chart library did not load.")); };
      document.head.appendChild(tag);
    });
    return library;
  }
  function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue("--mg-c-" + name).trim() || getComputedStyle(document.documentElement).getPropertyValue("--mg-" + name).trim(); }
  var UNITS = { ms: { ticksuffix: " ms" }, share: { tickformat: ".3~%" }, dollars: { tickprefix: "$" }, count: { tickformat: ",~r" } };
  function axis(unit, more) {
    return Object.assign({ rangemode: "tozero", gridcolor: colour("line"), zeroline: false, fixedrange: true, automargin: true }, UNITS[unit] || {}, more);
  }
  function traces(data) {
    var times = data.times.map(local);
    return data.traces.map(function (t) {
      var trace = { name: t.name, x: times, y: t.values, yaxis: t.right ? "y2" : "y", connectgaps: false };
      if (t.kind === "bar") {
        return Object.assign(trace, { type: "bar", marker: { color: colour(t.colour) }, width: data.step * 900, offset: data.step * 50 });
      }
      return Object.assign(trace, { type: "scatter", mode: "lines+markers", line: { color: colour(t.colour), width: 2, dash: t.kind === "dash" ? "dot" : "solid" }, marker: { size: 4, color: colour(t.colour) } });
    });
  }
  var STATES = { open: "bad", "half-open": "warn", "forced open": "bad", disabled: "quiet", shadow: "quiet" };
  function lanes(data) {
    var states = Array.from(new Set(data.bars.map(function (b) { return b.state; })));
    return states.map(function (state) {
      var bars = data.bars.filter(function (b) { return b.state === state; });
      return {
        type: "bar", orientation: "h", name: state, marker: { color: colour(STATES[state] || "warn"), pattern: { shape: state === "open" ? "" : "/" } },
        y: bars.map(function (b) { return b.lane; }), base: bars.map(function (b) { return local(b.start); }),
        x: bars.map(function (b) { return Math.max(new Date(b.end) - new Date(b.start), (new Date(data.end) - new Date(data.start)) / 400); }),
        text: bars.map(function (b) { return b.text; }), textposition: "none", hovertemplate: "%{y}: " + state + "<br>%{text}<extra></extra>"
      };
    });
  }
  function marks(data) { // schema changes: a line each, with a flag on top that can be pressed
    if (!data.markers.length) { return []; }
    return [{
      type: "scatter", mode: "markers", name: "schema change", yaxis: "y3", x: data.markers.map(function (m) { return local(m.at); }), y: data.markers.map(function () { return 1; }),
      customdata: data.markers.map(function (m) { return m.link; }), text: data.markers.map(function (m) { return m.severity + ": " + m.text; }), hovertemplate: "%{text}<extra>schema</extra>",
      marker: { symbol: "triangle-down", size: 11, color: data.markers.map(function (m) { return colour(m.severity === "critical" ? "bad" : m.severity === "high" ? "warn" : "quiet"); }) }, cliponaxis: false
    }];
  }
  function near(data) { // a share is looked at closely: 96 and 99 of 100 differ
    var known = data.traces.reduce(function (found, t) { return found.concat(t.values); }, data.target === null ? [] : [data.target]).filter(function (v) { return v !== null; });
    if (data.unit !== "share" || !known.length) { return {}; }
    var low = Math.min.apply(null, known), high = Math.max.apply(null, known), room = Math.max((high - low) * 0.15, 0.005);
    return { range: [Math.max(-0.002, low - room), Math.min(1.002, high + room)], autorange: false };
  }
  function layout(data, width) {
    var words = data.traces.length + data.bars.length + data.markers.length, rows = width < 560 ? Math.ceil((data.traces.length || 2) / 2) + 1 : 1;
    var dash = function (at) { return { type: "line", xref: "x", yref: "paper", x0: local(at), x1: local(at), y0: 0, y1: 1, line: { color: colour("quiet"), width: 1, dash: "dot" } }; };
    var shapes = data.markers.map(function (m) { return dash(m.at); });
    if (data.target !== null) { shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: data.target, y1: data.target, line: { color: colour("good"), width: 1.5, dash: "dash" } }); }
    return {
      height: width < 560 ? 320 : 260, margin: { l: 56, r: data.right_unit ? 52 : 16, t: rows > 1 ? 12 + 20 * rows : 30, b: 32 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", shapes: shapes, barmode: data.bars.length ? "overlay" : "relative", hovermode: data.bars.length ? "closest" : "x unified",
      font: { color: colour("text"), size: 11, family: "inherit" }, hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("text") } },
      legend: { orientation: "h", yref: "container", y: 1, yanchor: "top", x: 0 }, showlegend: words > 1, uirevision: "same",
      xaxis: { type: "date", range: [local(data.start), local(data.end)], gridcolor: colour("line"), fixedrange: true },
      yaxis: data.bars.length ? { type: "category", categoryarray: data.lanes, automargin: true, fixedrange: true, gridcolor: colour("line") } : axis(data.unit, near(data)),
      yaxis2: axis(data.right_unit, { overlaying: "y", side: "right", range: [0, 1.02], autorange: false, tickmode: "array", tickvals: [0, 0.25, 0.5, 0.75, 1], showgrid: false }), yaxis3: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true }
    };
  }
  function draw(box, data) {
    var plot = box.querySelector(".mg-plot"), text = data.sentence + (data.markers.length ? " " + data.markers.length + " schema changes are marked." : "");
    box.querySelector("[data-mg-sentence]").textContent = data.sentence + (data.note ? " " + data.note : "");
    box.querySelector("[data-mg-title]").textContent = data.title;
    plot.setAttribute("aria-label", data.title + ". " + text);
    if (data.empty) {
      if (plot.mgDrawn) { window.Plotly.purge(plot); plot.mgDrawn = false; }
      plot.textContent = data.empty;
      return Promise.resolve();
    }
    return plotly().then(function (Plotly) {
      if (!plot.mgDrawn) { plot.textContent = ""; }
      return Plotly.react(plot, (data.bars.length ? lanes(data) : traces(data)).concat(marks(data)), layout(data, plot.clientWidth), { displayModeBar: false, responsive: true });
    }).then(function () {
      if (plot.mgDrawn) { return; }
      plot.mgDrawn = true;
      plot.on("plotly_click", function (event) {
        var link = event.points.map(function (p) { return p.customdata; }).find(function (l) { return typeof l === "string"; });
        if (link) { window.location.href = link; }
      });
    });
  }
  function open(box) { var table = box.querySelector("[data-mg-as-table]"); return table && !table.hidden; }
  function tabulate(box, data) {
    var holder = box.querySelector("[data-mg-as-table]"), table = document.createElement("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    var dates = data.rows.length && data.columns.map(function (_, n) { return /^\d{4}-\d\d-\d\dT/.test(String(data.rows[0][n])); });
    table.className = "mg-table";
    data.columns.forEach(function (word) { var cell = document.createElement("th"); cell.scope = "col"; cell.textContent = word; head.appendChild(cell); });
    data.rows.forEach(function (row) {
      var line = body.insertRow();
      row.forEach(function (value, n) { line.insertCell().textContent = value === null ? "–" : dates[n] ? local(value) : value; });
    });
    holder.replaceChildren(table);
  }
  function refresh(box) {
    var url = box.dataset.mgChart;
    return get(url).then(function (data) {
      if (url !== box.dataset.mgChart) { return null; } // another number was chosen meanwhile
      if (open(box)) { tabulate(box, data); }
      box.mgData = data;
      box.dataset.mgRead = data.end;
      return box.querySelector(".mg-plot") && box.mgSeen ? draw(box, data) : null;
    }).catch(function (error) {
      var plot = box.querySelector(".mg-plot");
      if (plot && !plot.mgDrawn) { plot.textContent = error.message; }
    });
  }
  var eye = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      var fresh = entry.isIntersecting && !entry.target.mgSeen;
      entry.target.mgSeen = entry.isIntersecting;
      if (fresh) { refresh(entry.target); }
    });
  }, { rootMargin: "150px" });
  all(".mg-chart").forEach(function (box) { eye.observe(box); });
  new MutationObserver(function () { // light or dark was chosen
    all(".mg-chart").forEach(function (box) { if (box.mgData) { draw(box, box.mgData); } });
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });

  // --- what a person does
  function choose(name, link) {
    var box = document.getElementById("chart-number"), before = /number-[a-z0-9_]+/;
    [[box, "mgChart"], [box.querySelector("[data-mg-csv]"), "href"]].forEach(function (pair) {
      if (pair[1] === "href") { pair[0].setAttribute("href", pair[0].getAttribute("href").replace(before, "number-" + name)); } else { pair[0].dataset[pair[1]] = pair[0].dataset[pair[1]].replace(before, "number-" + name); }
    });
    all(".mg-open-row").forEach(function (row) { row.classList.remove("mg-open-row"); });
    document.getElementById("row-" + name).classList.add("mg-open-row");
    history.replaceState(null, "", link);
    box.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    box.mgSeen = true;
    refresh(box);
  }
  root.addEventListener("click", function (event) {
    var number = event.target.closest("[data-mg-number]"), toggle = event.target.closest("[data-mg-toggle]");
    if (number && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); choose(number.dataset.mgNumber, number.getAttribute("href")); }
    if (toggle) {
      var box = toggle.closest("[data-mg-chart]"), table = box.querySelector("[data-mg-as-table]");
      table.hidden = !table.hidden;
      toggle.setAttribute("aria-expanded", String(!table.hidden));
      toggle.textContent = table.hidden ? "As a table" : "Hide the table";
      if (!table.hidden) { refresh(box); }
    }
  });
  root.querySelectorAll("[data-mg-filters] select").forEach(function (select) { select.addEventListener("change", function () { select.form.requestSubmit(); }); });
  document.addEventListener("visibilitychange", function () { if (!document.hidden) { look(); } });
  document.addEventListener("htmx:afterSettle", arrived);
  window.mgLook = look;
  timer = setTimeout(look, EVERY);
})();
