// Lays out boxes whose areas are sizes, as square as they get (after Bruls, Huizing and van Wijk). They keep their
// order, so large ones come first. Pure.

export type Box<T> = { item: T; x: number; y: number; width: number; height: number };
type Sized<T> = { item: T; area: number };
type Space = { x: number; y: number; width: number; height: number };

export function treemap<T>(items: readonly T[], size: (item: T) => number, width: number, height: number): Box<T>[] {
  const sized = items.map((item) => ({ item, area: size(item) })).filter(({ area }) => area > 0);
  const whole = sized.reduce((sum, { area }) => sum + area, 0);
  if (whole === 0 || width <= 0 || height <= 0) return [];
  const scale = (width * height) / whole;
  const left = sized.map(({ item, area }) => ({ item, area: area * scale }));
  return fill(left, { x: 0, y: 0, width, height });
}

function fill<T>(left: Sized<T>[], whole: Space): Box<T>[] {
  const boxes: Box<T>[] = [];
  let space = whole;
  let at = 0;
  while (at < left.length) {
    const side = Math.min(space.width, space.height);
    let end = at + 1;
    while (end < left.length && worst(left, at, end + 1, side) <= worst(left, at, end, side)) end += 1;
    const row = left.slice(at, end);
    boxes.push(...place(row, space));
    space = rest(row, space);
    at = end;
  }
  return boxes;
}

/** The longest shape in a row: the side of its longest box over the shorter one. */
function worst<T>(items: Sized<T>[], from: number, to: number, side: number): number {
  let sum = 0;
  let most = 0;
  let least = Infinity;
  for (let at = from; at < to; at += 1) {
    const area = items[at]?.area ?? 0;
    sum += area;
    most = Math.max(most, area);
    least = Math.min(least, area);
  }
  return Math.max((side * side * most) / (sum * sum), (sum * sum) / (side * side * least));
}

function place<T>(row: Sized<T>[], space: Space): Box<T>[] {
  const thickness = sumOf(row) / Math.min(space.width, space.height);
  let along = 0;
  return row.map(({ item, area }) => {
    const length = area / thickness;
    const box =
      space.width >= space.height
        ? { item, x: space.x, y: space.y + along, width: thickness, height: length }
        : { item, x: space.x + along, y: space.y, width: length, height: thickness };
    along += length;
    return box;
  });
}

function rest<T>(row: Sized<T>[], space: Space): Space {
  const thickness = sumOf(row) / Math.min(space.width, space.height);
  return space.width >= space.height
    ? { ...space, x: space.x + thickness, width: Math.max(0, space.width - thickness) }
    : { ...space, y: space.y + thickness, height: Math.max(0, space.height - thickness) };
}

function sumOf<T>(row: Sized<T>[]): number {
  return row.reduce((sum, { area }) => sum + area, 0);
}
