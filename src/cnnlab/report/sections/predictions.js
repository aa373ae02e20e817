// Confusion of many classes: [true, predicted, images]
page.section("predictions", (root, { names, confusion }) => {
  const canvas = root.querySelector(".matrix");
  if (!canvas) return;
  const classes = names.length;
  const images = new Array(classes).fill(0);
  confusion.forEach(([row, , count]) => (images[row] += count));
  const fraction = new Float32Array(classes * classes);
  confusion.forEach(([row, column, count]) => (fraction[row * classes + column] = count / images[row]));
  page.paint(canvas, classes, classes, (i) => {
    const right = i % (classes + 1) === 0;
    return [...(right ? [36, 87, 179] : [201, 71, 31]), Math.round(255 * Math.sqrt(fraction[i]))];
  });
});
