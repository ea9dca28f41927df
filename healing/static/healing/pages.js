// For every page: times say how long ago and, on hover, the exact time in the viewer's own zone, and they go on; django-rq's lists get their "select all".
(function () {
  "use strict";
  var UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];
  function distance(moment) { // as healing/templatetags/mendgate.py says it
    var seconds = Math.trunc((Date.now() - moment) / 1000), ahead = seconds < 0, much = Math.abs(seconds);
    var unit = UNITS.find(function (u) { return much >= u[0]; }), words = unit ? Math.floor(much / unit[0]) + " " + unit[1] : much + " s";
    return much < 2 ? "now" : ahead ? "in " + words : words + " ago";
  }
  function exact(time) {
    var moment = new Date(time.dateTime);
    if (!isNaN(moment)) { time.title = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" }); }
  }
  function tick() {
    if (document.hidden) { return; }
    document.querySelectorAll("time[data-mg-ago]").forEach(function (time) {
      var words = distance(new Date(time.dateTime));
      if (time.textContent !== words) { time.textContent = words; }
    });
  }
  ["mouseover", "focusin"].forEach(function (name) {
    document.addEventListener(name, function (event) { var time = event.target.closest && event.target.closest("time[datetime]"); if (time) { exact(time); } });
  });
  document.addEventListener("visibilitychange", tick);
  setInterval(tick, 15000);
  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("time[data-mg-at]").forEach(function (time) { time.textContent = new Date(time.dateTime).toLocaleString(); });
    var all = document.getElementById("action-toggle"), $ = window.django && window.django.jQuery;
    if ($ && !$.fn.actions) { $.fn.actions = function () { return this; }; } // Django has no such plugin any more, django-rq still calls it
    if (!all) { return; }
    var boxes = document.querySelectorAll("input.action-select");
    if (!all.labels.length) { all.setAttribute("aria-label", "Select all"); }
    boxes.forEach(function (box) { if (!box.labels.length && !box.hasAttribute("aria-label")) { box.setAttribute("aria-label", "Select " + box.value); } });
    if ($ && $("#changelist-form .actions").length) { all.addEventListener("change", function () { boxes.forEach(function (box) { box.checked = all.checked; }); }); }
  });
})();
