"use strict";
// The playground: correlates a small picture with a 3 x 3 kernel, in this browser, from the JSON in #data.
// Pictures arrive as uint8, row by row. Correlated, never flipped, as in torch.nn.functional.conv2d.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.querySelector(".playground");
  const find = (what) => root.querySelector(what);
  const [height, width] = data.size;
  const pictures = { grey: bytes(data.grey), colour: bytes(data.colour) };
  const middle = (data.colours.length - 1) / 2;
  const minus = (text) => text.replace("-", "\u2212");
  const state = { kernel: data.kernels[0].weights.slice(), share: [1, 1, 1], mode: "grey", border: "reflect", row: 0, column: 0 };
  let response = new Float64Array(height * width);
  let limit = 1;
  let shown = Infinity; // responses on the map: fewer while the window slides
  let timer = 0;

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  // Which pixel of a line stands at a place beyond it; -1: none, so 0. The names are those of cnnlab.edges.borders.
  function inside(place, size, border) {
    if (place >= 0 && place < size) return place;
    if (border === "zeros") return -1;
    if (border === "replicate") return place < 0 ? 0 : size - 1;
    if (border === "circular") return (place + size) % size;
    return place < 0 ? -place : 2 * size - 2 - place; // reflect: mirrored about the outermost pixel
  }

  function channels() {
    return state.mode === "grey" ? 1 : 3;
  }

  function pixel(row, column, channel) {
    const y = inside(row, height, state.border);
    const x = inside(column, width, state.border);
    if (y < 0 || x < 0) return 0;
    return pictures[state.mode][(y * width + x) * channels() + channel];
  }

  // The slice of the kernel for a channel: a colour image has three, here multiples of the one that is edited.
  function slice(channel) {
    return state.mode === "grey" ? state.kernel : state.kernel.map((weight) => weight * state.share[channel]);
  }

  function neighbourhood(row, column, channel) {
    const values = [];
    for (let i = -1; i <= 1; i++) for (let j = -1; j <= 1; j++) values.push(pixel(row + i, column + j, channel));
    return values;
  }

  function dot(row, column) {
    let sum = 0;
    for (let channel = 0; channel < channels(); channel++) {
      const weights = slice(channel);
      neighbourhood(row, column, channel).forEach((value, index) => (sum += value * weights[index]));
    }
    return sum;
  }

  function correlate() {
    response = new Float64Array(height * width);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) response[row * width + column] = dot(row, column);
    }
    limit = response.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    root.response = response; // for whoever wants the numbers
  }

  function paint(canvas, colourOf) {
    canvas.width = width;
    canvas.height = height;
    const pixels = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) pixels.data.set(colourOf(i), 4 * i);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }

  function diverging(share) {
    return data.colours[Math.round(middle + middle * Math.max(-1, Math.min(1, share)))];
  }

  function drawPicture() {
    const values = pictures[state.mode];
    paint(find(".picture canvas"), (i) =>
      state.mode === "grey" ? [values[i], values[i], values[i], 255] : [...values.subarray(3 * i, 3 * i + 3), 255]);
  }

  function drawMap() {
    paint(find(".response canvas"), (i) => (i < shown ? [...diverging(response[i] / limit), 255] : [0, 0, 0, 0]));
    const words = number(limit);
    find(".least").textContent = `\u2212${words}`;
    find(".most").textContent = words;
  }

  function number(value) {
    const short = Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toFixed(2)));
    return minus(short === "-0" ? "0" : short);
  }

  // Nine tiles; colours: [red, green, blue] of each, words on them dark or light, whichever is seen.
  function tiles(place, values, colours) {
    place.replaceChildren(...values.map((value, index) => {
      const tile = document.createElement("span");
      const [red, green, blue] = colours(value);
      tile.textContent = number(value);
      tile.style.background = `rgb(${red}, ${green}, ${blue})`;
      tile.style.color = 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#111" : "#fff";
      if (index === 4) tile.className = "centre";
      return tile;
    }));
  }

  function drawWindow() {
    const { row, column } = state;
    for (const box of root.querySelectorAll(".window")) {
      box.style.left = `${(100 * (column - 1)) / width}%`;
      box.style.top = `${(100 * (row - 1)) / height}%`;
      box.style.width = `${300 / width}%`;
      box.style.height = `${300 / height}%`;
    }
    const parts = [];
    root.querySelectorAll(".product").forEach((line, channel) => {
      line.hidden = channel >= channels();
      if (line.hidden) return;
      const [values, weights] = [neighbourhood(row, column, channel), slice(channel)];
      const products = values.map((value, index) => value * weights[index]);
      const most = Math.max(...weights.map(Math.abs)) || 1;
      const largest = Math.max(...products.map(Math.abs)) || 1;
      const tint = (value) => (state.mode === "grey" ? [value, value, value] : [0, 1, 2].map((c) => (c === channel ? value : 0)));
      tiles(line.querySelector(".pixels"), values, tint);
      tiles(line.querySelector(".weights"), weights, (weight) => diverging(weight / most));
      tiles(line.querySelector(".products"), products, (product) => diverging(product / largest));
      parts.push(products.reduce((sum, product) => sum + product, 0));
      line.querySelector(".partial").textContent = number(parts[channel]);
      line.querySelector(".name").hidden = state.mode === "grey";
    });
    const total = dot(row, column);
    find(".total").textContent = number(total);
    find(".said").textContent = `Row ${row}, column ${column}: ` +
      (parts.length > 1 ? `${parts.map(number).join(" + ").replaceAll("+ \u2212", "\u2212 ")} = ${number(total)}` : `the products add up to ${number(total)}`) + ".";
    find(".row").value = row;
    find(".column").value = column;
  }

  function update() {
    stop();
    correlate();
    drawPicture();
    drawMap();
    drawWindow();
    find(".shares").hidden = state.mode === "grey";
  }

  function move(row, column) {
    state.row = Math.max(0, Math.min(height - 1, row));
    state.column = Math.max(0, Math.min(width - 1, column));
    drawWindow();
  }

  // Sliding: the window goes over the picture row by row and leaves its responses on the map.

  function stop() {
    cancelAnimationFrame(timer);
    timer = 0;
    shown = Infinity;
    find(".slide").textContent = "Slide it over the picture";
    find(".slide").setAttribute("aria-pressed", "false");
  }

  function step() {
    shown += Math.ceil((height * width) / 480); // eight seconds at sixty frames a second
    if (shown >= height * width) {
      stop();
      drawMap();
      return;
    }
    move(Math.floor(shown / width), shown % width);
    drawMap();
    timer = requestAnimationFrame(step);
  }

  find(".slide").addEventListener("click", () => {
    if (timer) {
      stop();
      drawMap();
      return;
    }
    shown = 0;
    find(".slide").textContent = "Stop";
    find(".slide").setAttribute("aria-pressed", "true");
    timer = requestAnimationFrame(step);
  });

  // Pointer, finger and keys, on the picture and on the map alike.

  function take(event) {
    const area = event.currentTarget.querySelector("canvas").getBoundingClientRect();
    if (timer) {
      stop();
      drawMap();
    }
    move(Math.floor(((event.clientY - area.top) / area.height) * height), Math.floor(((event.clientX - area.left) / area.width) * width));
  }
  for (const stage of root.querySelectorAll(".picture, .response")) {
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      take(event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse" || event.buttons) if (!timer || event.buttons) take(event);
    });
    stage.addEventListener("keydown", (event) => {
      const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const way = steps[event.key];
      if (!way) return;
      event.preventDefault();
      const by = event.shiftKey ? 10 : 1;
      move(state.row + by * way[0], state.column + by * way[1]);
    });
  }

  const inputs = [...root.querySelectorAll(".edit input")];
  function showKernel() {
    inputs.forEach((input, index) => (input.value = Number(state.kernel[index].toFixed(4))));
  }
  inputs.forEach((input, index) => input.addEventListener("input", () => {
    state.kernel[index] = Number(input.value) || 0;
    find(".chosen").value = "";
    update();
  }));
  find(".chosen").addEventListener("change", (event) => {
    if (event.target.value === "") return;
    state.kernel = data.kernels[Number(event.target.value)].weights.slice();
    showKernel();
    update();
  });
  find(".border").addEventListener("change", (event) => {
    state.border = event.target.value;
    update();
  });
  root.querySelectorAll("input[name=mode]").forEach((input) => input.addEventListener("change", () => {
    state.mode = find("input[name=mode]:checked").value;
    update();
  }));
  root.querySelectorAll(".share").forEach((input, channel) => input.addEventListener("input", () => {
    state.share[channel] = Number(input.value) || 0;
    update();
  }));
  for (const name of ["row", "column"]) {
    find(`.${name}`).max = (name === "row" ? height : width) - 1;
    find(`.${name}`).addEventListener("change", (event) => {
      state[name] = Math.round(Number(event.target.value)) || 0;
      move(state.row, state.column);
    });
  }
  const bar = find(".scale-bar canvas");
  bar.width = data.colours.length;
  bar.height = 1;
  const strip = new ImageData(data.colours.length, 1);
  data.colours.forEach((colour, i) => strip.data.set([...colour, 255], 4 * i));
  bar.getContext("2d").putImageData(strip, 0, 0);
  // Paper has no triangle to click: all code is printed.
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
  showKernel();
  update();
  // The page opens at the strongest response, so that there is something to see.
  const strongest = response.reduce((best, value, i) => (Math.abs(value) > Math.abs(response[best]) ? i : best), 0);
  move(Math.floor(strongest / width), strongest % width);
})();
