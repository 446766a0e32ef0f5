"use strict";
// Two filters hide rows of the table and sections; a group without any is hidden too. A link to a hidden claim shows all.
const filters = document.querySelector(".filters");
const selects = [...filters.querySelectorAll("select")];
const claims = [...document.querySelectorAll("[data-verdict]")];
const apply = () => {
  for (const claim of claims) {
    claim.hidden = selects.some((select) => select.value && claim.dataset[select.dataset.filter] !== select.value);
  }
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = !group.querySelector("[data-verdict]:not([hidden])");
  }
  const rows = claims.filter((claim) => claim.tagName === "TR");
  const shown = rows.filter((row) => !row.hidden).length;
  filters.querySelector(".shown").textContent = shown + " of " + rows.length + " shown";
};
for (const select of selects) select.addEventListener("change", apply);
addEventListener("hashchange", () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target && target.closest("[hidden]")) {
    for (const select of selects) select.value = "";
    apply();
    target.scrollIntoView();
  }
});
filters.hidden = false;
apply();
