"use strict";
// The study's page: arms switched on and off, numbers under the pointer. Lines arrive in #data, chart by chart.
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);

  // What an interval or a cell of a heat map says, in the line above it.
  function readings(root, cells) {
    const line = root.querySelector(".read") || root.previousElementSibling;
    cells.forEach((cell) => {
      const say = () => (line.textContent = cell.dataset.said || "");
      ["pointerenter", "focus", "click"].forEach((event) => cell.addEventListener(event, say));
    });
  }

  function section(root) {
    const buttons = [...root.querySelectorAll(".toggles button[data-arm]")];
    const figures = [...root.querySelectorAll(".banded")];
    const shown = (arm) => buttons[arm].getAttribute("aria-pressed") === "true";

    function update() {
      const few = buttons.filter((button, arm) => shown(arm)).length <= 3;
      figures.forEach((figure) => {
        figure.querySelector("svg").classList.toggle("few", few);
        figure.querySelectorAll("g.arm").forEach((line) => (line.style.display = shown(line.dataset.arm) ? "" : "none"));
      });
    }
    function alone(arm) {
      figures.forEach((figure) => {
        figure.querySelector("svg").classList.toggle("chosen", arm !== null);
        figure.querySelectorAll("g.arm").forEach((line) => line.classList.toggle("alone", line.dataset.arm === arm));
      });
    }
    buttons.forEach((button) => {
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
        update();
      });
      const { arm } = button.dataset;
      button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && shown(arm) && alone(arm));
      button.addEventListener("pointerleave", () => alone(null));
      button.addEventListener("focus", () => button.matches(":focus-visible") && shown(arm) && alone(arm));
      button.addEventListener("blur", () => alone(null));
    });
    root.querySelectorAll(".toggles .all").forEach((button) => {
      button.addEventListener("click", () => {
        const only = button.classList.contains("none");
        buttons.forEach((one) => one.setAttribute("aria-pressed", String(!only || "reference" in one.dataset)));
        update();
      });
    });
    figures.forEach((figure) => follow(figure, charts[figure.dataset.chart], shown, buttons));
    update();
  }

  // The numbers of all shown arms at the point of the axis that is nearest to the pointer.
  function follow(figure, lines, shown, buttons) {
    const svg = figure.querySelector("svg");
    const cross = figure.querySelector(".cross");
    const list = figure.querySelector(".values");
    const hint = list.firstElementChild;

    function at(event) {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * 440;
      const places = lines.filter((line) => shown(line.arm)).flatMap((line) => line.points);
      if (!places.length) return;
      const nearest = places.reduce((best, point) => (Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));
      cross.setAttribute("x1", nearest[0]);
      cross.setAttribute("x2", nearest[0]);
      svg.classList.add("seen");
      list.replaceChildren(entry(null, figure.querySelector("svg > text:last-of-type").textContent, nearest[1]));
      lines.filter((line) => shown(line.arm)).forEach((line) => {
        const point = line.points.find((one) => one[0] === nearest[0]);
        if (point) list.append(entry(buttons[line.arm].querySelector(".key"), buttons[line.arm].textContent, point[2]));
      });
    }
    function entry(key, name, value) {
      const item = document.createElement("li");
      const label = document.createElement("span");
      label.className = "name";
      label.textContent = name;
      const number = document.createElement("b");
      number.textContent = value;
      if (key) item.append(key.cloneNode());
      item.append(label, number);
      return item;
    }
    svg.addEventListener("pointermove", at);
    svg.addEventListener("pointerdown", at);
    svg.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "mouse") return;
      svg.classList.remove("seen");
      list.replaceChildren(hint);
    });
  }

  document.querySelectorAll(".forest").forEach((root) => readings(root, root.querySelectorAll("[data-said]")));
  const heats = document.getElementById("corruptions");
  if (heats && heats.querySelector(".heat")) readings(heats, heats.querySelectorAll("td[data-said]"));
  document.querySelectorAll("section:has(.toggles)").forEach(section);
})();
