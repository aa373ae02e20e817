// Kernels: a frame per epoch as int8 (127 is the epoch's limit), colours as uint8.
page.section("kernels", (root, shown) => {
  const [height, width] = shown.size;
  const area = height * width;
  const frames = shown.frames.map((text) => new Int8Array(page.bytes(text).buffer));
  const colours = shown.colours && shown.colours.map(page.bytes);
  const last = frames.length - 1;
  const common = root.querySelector(".common");
  const largest = Math.max(...shown.limits), brightest = Math.max(...shown.brightest);

  function draw(canvas, frame, index, shared) {
    if (canvas.classList.contains("colour")) {
      const from = index * area * 3, fraction = shared ? shown.brightest[frame] / brightest : 1;
      const channel = (value) => Math.round(128 + (value - 128) * fraction);
      page.paint(canvas, width, height, (i) => [...colours[frame].subarray(from + 3 * i, from + 3 * i + 3)].map(channel).concat(255));
    } else {
      const fraction = (shared ? shown.limits[frame] / largest : 1) / 127;
      page.paint(canvas, width, height, (i) => page.diverging(frames[frame][index * area + i] * fraction));
    }
  }

  const tiles = [...root.querySelectorAll(".tiles li")];
  root.querySelectorAll(".still").forEach((canvas) => draw(canvas, last, Number(canvas.dataset.index), false));
  page.paint(root.querySelector(".scale-bar canvas"), page.colours.length, 1, (i) => [...page.colours[i], 255]);

  const slider = root.querySelector("input[type=range]");
  const output = root.querySelector("output");
  function scale(frame) {
    const end = (common.checked ? largest : shown.limits[frame]).toPrecision(2);
    root.querySelector(".low").textContent = `−${Number(end)}`;
    root.querySelector(".high").textContent = `+${Number(end)}`;
    root.querySelector(".which").textContent = common.checked
      ? "One colour scale for all kernels and epochs."
      : `Each epoch has a colour scale of its own: this is the one after epoch ${shown.epochs[frame]}; at the start it ends at ±${Number(shown.limits[0].toPrecision(2))}.`;
  }
  function show() {
    const frame = Number(slider.value);
    output.textContent = shown.epochs[frame];
    slider.setAttribute("aria-valuetext", `after epoch ${shown.epochs[frame]}`);
    scale(frame);
    tiles.forEach((tile, index) => {
      tile.querySelectorAll(".before").forEach((canvas) => draw(canvas, 0, index, common.checked));
      tile.querySelectorAll(".now").forEach((canvas) => draw(canvas, frame, index, common.checked));
      const cosine = shown.cosines[frame][index];
      tile.querySelector(".cosine").textContent = cosine === null ? "" : `cos ${cosine.toFixed(3)}`;
    });
  }
  slider.addEventListener("input", show);
  common.addEventListener("change", show);
  show();

  const play = root.querySelector(".play");
  let timer = 0;
  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  }
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === last) slider.value = 0;
    show();
    play.textContent = "Stop";
    play.setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) === last) stop();
    }, Math.max(60, Math.min(250, 5000 / frames.length)));
  });
  slider.addEventListener("pointerdown", stop);
});
