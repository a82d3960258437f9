// Sizes of pictures, as "WIDTHxHEIGHT".

const sidesOf = (size) => size.split("x").map(Number);

/** The model's own size first, then a few others that it can paint. */
export function sizesOf({ size, size_multiple: multiple, max_side: most }) {
  const fit = (side) => Math.min(most, Math.round(side / multiple) * multiple);
  const [width, height] = sidesOf(size);
  const [wide, tall] = [fit(width * 1.5), fit(height * 1.5)];
  const sizes = [[width, height], [wide, height], [width, tall], [wide, tall], [fit(width * 2), fit(height * 2)]];
  return [...new Set(sizes.map((sides) => sides.join("x")))];
}

/** The size that is most like a picture's own: the very same, else the first of the most like proportions. */
export function likest({ width, height }, sizes) {
  const distance = (size) => {
    const [wide, tall] = sidesOf(size);
    return wide === width && tall === height ? -1 : Math.abs(Math.log((wide * height) / (tall * width)));
  };
  return sizes.reduce((best, size) => (distance(size) < distance(best) ? size : best));
}
