// Receptive fields: maps and glow arrive as uint8.
page.section("fields", (root, shown) => {
  function element(name, attributes, parent) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  }

  const [height, width] = shown.size;
  const find = (what) => root.querySelector(what);
  const svg = find(".sight");
  const map = find(".map");
  const margin = Math.ceil(Math.max(height, width) * 0.25);
  svg.setAttribute("viewBox", `${-margin} ${-margin} ${width + 2 * margin} ${height + 2 * margin}`);
  const place = { x: 0, y: 0, width, height, preserveAspectRatio: "none" };
  const picture = element("image", { ...place, class: "picture" }, svg);
  const glow = element("image", { ...place, class: "heat" }, svg);
  element("rect", { x: 0, y: 0, width, height, class: "edge" }, svg);
  const box = element("rect", { class: "box" }, svg);
  const chosen = { layer: 0, row: 0, column: 0, image: 0 };

  function drawMap(layer) {
    const step = layer.step || 1;
    const [rows, columns] = layer.grid.map((units) => Math.ceil(units / step));
    const maps = layer.maps;
    const values = maps && page.bytes(maps[Math.min(chosen.image, maps.length - 1)]);
    page.paint(map.querySelector("canvas"), columns, rows, (i) => {
      const value = values ? values[i] : 90;
      return [value, value, value, 255];
    });
    const unit = find(".unit").style;
    unit.left = `${(100 * chosen.column) / layer.grid[1]}%`;
    unit.top = `${(100 * chosen.row) / layer.grid[0]}%`;
    unit.width = `${100 / layer.grid[1]}%`;
    unit.height = `${100 / layer.grid[0]}%`;
  }

  // The measured unit that is nearest to the chosen one.
  function nearest(heat) {
    let best = 0;
    const distance = (unit) => (unit[0] - chosen.row) ** 2 + (unit[1] - chosen.column) ** 2;
    heat.units.forEach((unit, index) => {
      if (distance(unit) < distance(heat.units[best])) best = index;
    });
    return best;
  }

  // How far the field of one unit lies from that of another, in pixels; 0 where there are no boxes.
  function shift(spans, from, to) {
    return spans && spans[from] && spans[to] ? spans[to][0] - spans[from][0] : 0;
  }

  function drawGlow(layer) {
    glow.removeAttribute("href");
    const heat = layer.heat;
    if (!heat) return "";
    const index = nearest(heat);
    const [row, column] = heat.units[index];
    const exact = row === chosen.row && column === chosen.column;
    if (heat.frames[index] === null) return " It is dead on these images: no pixel moves it.";
    if (!exact && !layer.rows) return ` No glow was measured for it; the nearest that was is (${row}, ${column}).`;
    const values = page.bytes(heat.frames[index]);
    const canvas = document.createElement("canvas");
    page.paint(canvas, heat.size[1], heat.size[0], (i) => [255, 90, 31, Math.round(values[i] * 0.85)]);
    glow.setAttribute("href", canvas.toDataURL());
    glow.setAttribute("x", exact ? 0 : shift(layer.columns, column, chosen.column));
    glow.setAttribute("y", exact ? 0 : shift(layer.rows, row, chosen.row));
    const over = heat.inputs > 1 ? ` over ${heat.inputs} images` : " on one image";
    if (exact) return ` The glow was measured for this unit${over}.`;
    return ` The glow was measured${over} for unit (${row}, ${column}), the nearest that was, and moved here.`;
  }

  function drawBox(layer) {
    const [y, x] = [layer.rows && layer.rows[chosen.row], layer.columns && layer.columns[chosen.column]];
    box.style.display = y && x ? "" : "none";
    if (layer.unbounded) return ` can see the whole image, however large: its field is unbounded (${layer.unbounded}).`;
    if (!(y && x)) return " sees nothing of the image.";
    box.setAttribute("x", x[0]);
    box.setAttribute("y", y[0]);
    box.setAttribute("width", x[1] - x[0] + 1);
    box.setAttribute("height", y[1] - y[0] + 1);
    const over = y[0] < 0 || x[0] < 0 || y[1] >= height || x[1] >= width;
    return ` sees ${y[1] - y[0] + 1} × ${x[1] - x[0] + 1} pixels: rows ${y[0]} to ${y[1]}, columns ${x[0]} to ${x[1]}`
      .replaceAll("-", "\u2212") + (over ? ", so over the border of the image, into the padding." : ".");
  }

  function show() {
    const layer = shown.layers[chosen.layer];
    picture.setAttribute("href", shown.images[chosen.image].picture);
    find(".choose").querySelectorAll("button").forEach((button, index) => {
      button.setAttribute("aria-pressed", String(index === chosen.image));
    });
    find(".mapping").hidden = !layer.grid;
    find(".row").disabled = find(".column").disabled = !layer.grid;
    if (!layer.grid) {
      glow.removeAttribute("href");
      box.style.display = "none";
      find("p.said").textContent = layer.unbounded
        ? `${layer.name} has no map of units. Its field is unbounded: ${layer.unbounded}.`
        : `${layer.name} has no map of units.`;
      return;
    }
    chosen.row = Math.max(0, Math.min(layer.grid[0] - 1, chosen.row));
    chosen.column = Math.max(0, Math.min(layer.grid[1] - 1, chosen.column));
    find(".row").max = layer.grid[0] - 1;
    find(".column").max = layer.grid[1] - 1;
    find(".row").value = chosen.row;
    find(".column").value = chosen.column;
    drawMap(layer);
    const sees = drawBox(layer);
    const measured = drawGlow(layer);
    glow.style.display = find(".glow").checked ? "" : "none";
    const notes = layer.notes.length ? ` Note: ${layer.notes.join("; ")}.` : "";
    find("p.said").textContent = `Unit (${chosen.row}, ${chosen.column}) of ${layer.name}${sees}${measured}${notes}`;
  }

  // A new layer starts with its middle unit, so that there is something to see.
  function chooseLayer(index) {
    chosen.layer = index;
    const grid = shown.layers[index].grid || [1, 1];
    [chosen.row, chosen.column] = grid.map((units) => Math.floor(units / 2));
    show();
  }

  map.addEventListener("click", (event) => {
    const { grid } = shown.layers[chosen.layer];
    const area = map.querySelector("canvas").getBoundingClientRect();
    chosen.row = Math.floor(((event.clientY - area.top) / area.height) * grid[0]);
    chosen.column = Math.floor(((event.clientX - area.left) / area.width) * grid[1]);
    show();
  });
  map.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    chosen.row += step[0];
    chosen.column += step[1];
    show();
  });
  for (const name of ["row", "column"]) {
    find(`.${name}`).addEventListener("change", (event) => {
      chosen[name] = Math.round(Number(event.target.value)) || 0;
      show();
    });
  }
  find(".layer").addEventListener("change", (event) => chooseLayer(Number(event.target.value)));
  find(".glow").addEventListener("change", show);
  find(".choose").querySelectorAll("button").forEach((button, index) => {
    button.addEventListener("click", () => {
      chosen.image = index;
      show();
    });
  });
  // The page opens at the deepest layer that still looks at a part of the image.
  const part = ([first, last]) => last - first < 0.7 * Math.min(height, width);
  const start = shown.layers.reduce((best, layer, index) => {
    const spans = [layer.rows, layer.columns].map((all) => all && all[Math.floor(all.length / 2)]);
    return spans.every((span) => span && part(span)) ? index : best;
  }, 0);
  find(".layer").value = String(start);
  chooseLayer(start);
});
