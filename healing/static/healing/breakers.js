// The board of breakers updates by itself: regions are fetched as HTML every two seconds, and put in place only where they differ. It rests
// while nobody looks, says when it has lost the server, and keeps focus and scroll where they are. o opens the override of the chosen breaker.
(function () {
  "use strict";
  var root = document.querySelector("[data-mg-live]");
  if (!root) { return; }
  var EVERY = 2000, LONGEST = 30000, failures = 0, timer = 0, shown = {};
  var note = document.querySelector("[data-mg-live-note]"), calm = note ? note.textContent : "";
  function say(text, stale) {
    if (!note || note.textContent === text) { return; }
    note.textContent = text;
    note.classList.toggle("mg-stale", stale);
  }
  function put(key, html) {
    var box = root.querySelector('[data-mg-region="' + key + '"]');
    if (!box) { return key.indexOf("card-") !== 0; } // a breaker that was not there when the page was made
    if (shown[key] === html) { return true; }
    shown[key] = html;
    var inside = box.contains(document.activeElement) ? document.activeElement.id : "", scroller = box.querySelector(".mg-scroll"), left = scroller ? scroller.scrollLeft : 0;
    box.innerHTML = html;
    scroller = box.querySelector(".mg-scroll");
    if (scroller) { scroller.scrollLeft = left; }
    if (inside && document.getElementById(inside)) { document.getElementById(inside).focus({ preventScroll: true }); }
    return true;
  }
  function apply(regions) {
    var known = Object.keys(regions).map(function (key) { return put(key, regions[key]); });
    failures = 0;
    say(known.indexOf(false) < 0 ? calm : "A breaker was used for the first time: reload the page to see it.", known.indexOf(false) >= 0);
  }
  function look() {
    clearTimeout(timer);
    if (document.hidden) { return; }
    fetch(root.dataset.mgLive, { credentials: "same-origin", headers: { Accept: "application/json" } }).then(function (answer) {
      if (answer.redirected || answer.status === 403) { throw new Error("login"); }
      if (!answer.ok) { throw new Error("away"); }
      return answer.json();
    }).then(apply).catch(function (error) {
      failures += 1;
      say(error.message === "login" ? "You are logged out: reload the page. What you see is old." : "The server does not answer, trying again. What you see is old.", true);
    }).then(function () { timer = setTimeout(look, Math.min(EVERY * Math.pow(2, failures), LONGEST)); });
  }
  document.addEventListener("visibilitychange", function () { if (!document.hidden) { look(); } });
  document.addEventListener("keydown", function (event) {
    if (event.target.closest("input,textarea,select,[contenteditable]") || event.ctrlKey || event.metaKey || event.altKey) { return; }
    var card = document.querySelector("[data-mg-card].mg-chosen") || document.querySelector("[data-mg-card]");
    if (!card) { return; }
    if (event.key === "o") {
      var box = card.querySelector("[data-mg-override]");
      if (box) { event.preventDefault(); box.open = true; box.querySelector("input[type=text]").focus(); }
    }
    if (event.key === "Enter" && !event.target.closest("a,button,summary")) {
      var link = card.querySelector(".mg-breaker-name a");
      if (link) { link.click(); }
    }
  });
  timer = setTimeout(look, EVERY);
})();
