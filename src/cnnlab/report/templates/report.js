"use strict";
// What the scripts of sections share: `page.section(key, draw)` draws each run's part of a section from the JSON in #data.
const page = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const middle = (data.colours.length - 1) / 2;

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  function paint(canvas, width, height, colourOf) {
    canvas.width = width;
    canvas.height = height;
    const pixels = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) pixels.data.set(colourOf(i), 4 * i);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }

  function diverging(fraction) {
    return [...data.colours[Math.round(middle + middle * Math.max(-1, Math.min(1, fraction)))], 255];
  }

  function section(key, draw) {
    const drawn = data.sections[key];
    document.querySelectorAll(`#${key} > [data-run]`).forEach((root) => draw(root, drawn[root.dataset.run]));
  }

  return { colours: data.colours, bytes, paint, diverging, section };
})();
