// A small line as an SVG path: a null lifts the pen, so a hole stays a hole.

export function sparkPath(times: number[], values: (number | null)[], top: number, width: number, height: number): string {
  const first = times[0] ?? 0;
  const span = Math.max(1e-9, (times.at(-1) ?? 0) - first);
  let pen = 'M';
  let path = '';
  values.forEach((value, index) => {
    if (value === null) return void (pen = 'M');
    const x = ((times[index]! - first) / span) * width;
    const y = height - (Math.min(value, top) / top) * height;
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = 'L';
  });
  return path;
}
