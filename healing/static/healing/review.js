// Keyboard for the review queue (j/k move, a approve, r reject, e edit, x choose, s snooze, z undo, ? help), and copy buttons. No inline script needed.
(function () {
  "use strict";
  function cards() { return Array.from(document.querySelectorAll("[data-mg-card]")); }
  function chosen() { return Math.max(0, cards().findIndex(function (c) { return c.classList.contains("mg-chosen"); })); }
  function choose(index) {
    var all = cards();
    if (!all.length) { return; }
    var card = all[Math.min(Math.max(index, 0), all.length - 1)];
    all.forEach(function (c) { c.classList.toggle("mg-chosen", c === card); });
    card.scrollIntoView({ block: "nearest" });
  }
  function open(card, name) {
    var box = card.querySelector("details[data-mg-" + name + "]");
    if (!box) { return; }
    box.open = true;
    box.querySelector("input[type=text],textarea").focus();
  }
  function approve(form) { // what is not exact takes a second press, so that nobody slips into it
    var ask = form.querySelector("[data-mg-ask]");
    if (form.hasAttribute("data-mg-lossy") && !form.dataset.mgArmed) {
      form.dataset.mgArmed = "yes";
      ask.textContent = "not exact: press a again to approve it";
      return;
    }
    form.requestSubmit();
  }
  function act(key) {
    var card = cards()[chosen()];
    if (key === "j") { choose(chosen() + 1); return true; }
    if (key === "k") { choose(chosen() - 1); return true; }
    if (key === "z") { var undo = document.querySelector("form[data-mg-undo]"); if (undo) { undo.requestSubmit(); return true; } return false; }
    if (!card) { return false; }
    if (key === "a") { var form = card.querySelector("form[data-mg-approve]"); if (form) { approve(form); } return true; }
    if (key === "r") { open(card, "reject"); return true; }
    if (key === "e") { open(card, "edit"); return true; }
    if (key === "x") { var box = card.querySelector("[data-mg-choose]"); if (box) { box.checked = !box.checked; } return true; }
    if (key === "s") { var later = card.querySelector("form[data-mg-snooze]"); if (later) { later.requestSubmit(); } return true; }
    return false;
  }
  document.addEventListener("keydown", function (event) {
    var typing = event.target.closest("input:not([type=checkbox]),textarea,select,[contenteditable]");
    if (event.key === "Escape" && typing) { typing.blur(); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !document.querySelector("[data-mg-card],[data-mg-undo]")) { return; }
    if (event.key === "?") { var help = document.querySelector("[data-mg-help]"); if (help) { help.open = !help.open; } return; }
    if (act(event.key)) { event.preventDefault(); }
  });
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-mg-copy]");
    if (!button) { return; }
    var text = document.getElementById(button.dataset.mgCopy).textContent;
    navigator.clipboard.writeText(text).then(function () { button.classList.add("mg-copied"); });
  });
  document.addEventListener("DOMContentLoaded", function () { choose(0); });
})();
