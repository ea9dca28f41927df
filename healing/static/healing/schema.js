// The schema pages without inline script: / searches, [ and ] go through time, a mark shows what it is linked with, long forms say that they work.
(function () {
  "use strict";
  function typing(event) { return event.target.closest("input,textarea,select,[contenteditable]"); }
  function follow(name) { var link = document.querySelector("[data-mg-" + name + "]"); if (link) { link.click(); } }
  document.addEventListener("keydown", function (event) {
    if (typing(event) || event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (event.key === "[") { follow("earlier"); }
    if (event.key === "]") { follow("later"); }
    if (event.key === "/") {
      var search = document.querySelector("[data-mg-search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    }
  });
  function trace(picture, mark) {
    var chain = mark ? mark.dataset.mgChain.split(" ") : [];
    picture.classList.toggle("mg-traced", chain.length > 1);
    picture.querySelectorAll(".mg-mark").forEach(function (m) { m.classList.toggle("mg-on", chain.indexOf(m.id) >= 0); });
    picture.querySelectorAll(".mg-curve").forEach(function (c) {
      c.classList.toggle("mg-on", c.dataset.mgEnds.split(" ").every(function (end) { return chain.indexOf(end) >= 0; }));
    });
  }
  document.querySelectorAll("[data-mg-timeline]").forEach(function (picture) {
    ["mouseover", "focusin"].forEach(function (name) {
      picture.addEventListener(name, function (event) { trace(picture, event.target.closest(".mg-mark")); });
    });
    ["mouseleave", "focusout"].forEach(function (name) { picture.addEventListener(name, function () { trace(picture, null); }); });
  });
  document.querySelectorAll("[data-mg-newest]").forEach(function (box) { box.scrollLeft = box.scrollWidth; }); // where it does not fit
  document.querySelectorAll("[data-mg-range]").forEach(function (button) {
    if (!document.querySelector(".mg-filter input[name=from]:disabled")) { return; }
    button.hidden = false;
    button.addEventListener("click", function () {
      document.querySelectorAll(".mg-filter input:disabled").forEach(function (input) { input.disabled = false; });
      document.querySelectorAll(".mg-filter input[name=last]").forEach(function (input) { input.remove(); });
      document.querySelector(".mg-filter input[name=from]").focus();
      button.hidden = true;
    });
  });
  document.querySelectorAll("[data-mg-submit]").forEach(function (box) {
    box.addEventListener("keydown", function (event) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); box.form.requestSubmit(); }
    });
  });
  document.querySelectorAll("[data-mg-focus]").forEach(function (found) { found.focus(); });
  document.addEventListener("submit", function (event) {
    if (event.target.matches("[data-mg-slow]")) {
      event.target.classList.add("mg-sent");
      event.target.setAttribute("aria-busy", "true");
      setTimeout(function () { event.target.querySelectorAll("button").forEach(function (b) { b.disabled = true; }); }, 0); // its value is sent
    }
  });
  window.addEventListener("pageshow", function (event) { // back from the cache: forms are fresh again
    if (!event.persisted) { return; }
    document.querySelectorAll("[data-mg-slow]").forEach(function (form) {
      form.classList.remove("mg-sent");
      form.querySelectorAll("button").forEach(function (b) { b.disabled = false; });
    });
  });
})();
