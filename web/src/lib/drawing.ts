// A frame for people to look at, drawn: a picture with the model's boxes, or a time series as lines.

import type { Box } from './model.ts';

const BOX_COLOURS = ['#ffd23f', '#3fd2ff', '#ff6f91', '#7dff8a', '#ffffff'];
const SERIES_COLOURS = ['#2a6f97', '#b35c00', '#7b4fa3', '#b03a6b', '#00787a', '#6a6a00'];

export interface Line {
  /** 0…1 from the top. */
  points: number[];
}

/** Channels of [1, channels, samples], or of whatever comes closest; each scaled to its own range. */
export function seriesLines(numbers: Float32Array, shape: number[]): Line[] {
  const dims = shape.filter((n) => n > 1);
  const channels = dims.length >= 2 && numbers.length % dims[0]! === 0 ? dims[0]! : 1;
  const samples = numbers.length / channels;
  return Array.from({ length: channels }, (_, c) => {
    const part = Array.from(numbers.subarray(c * samples, (c + 1) * samples)).map((n) => (Number.isFinite(n) ? n : 0));
    const [low, high] = [Math.min(...part), Math.max(...part)];
    return { points: part.map((n) => (high > low ? 1 - (n - low) / (high - low) : 0.5)) };
  });
}

export function drawSeries(canvas: HTMLCanvasElement, lines: Line[]): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  canvas.width = 720;
  canvas.height = Math.max(120, 48 * lines.length);
  const lane = canvas.height / lines.length;
  context.fillStyle = '#f4f6f8';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.lineWidth = 1.5;
  lines.forEach(({ points }, index) => {
    context.strokeStyle = SERIES_COLOURS[index % SERIES_COLOURS.length]!;
    context.beginPath();
    points.forEach((y, i) => context.lineTo((i / Math.max(1, points.length - 1)) * canvas.width, index * lane + 4 + y * (lane - 8)));
    context.stroke();
  });
}

export function drawPicture(canvas: HTMLCanvasElement, picture: ImageBitmap, size: { width: number; height: number }, boxes: Box[]): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const zoom = Math.max(1, Math.ceil(480 / size.width)); // boxes stay thin on small frames
  canvas.width = size.width * zoom;
  canvas.height = size.height * zoom;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.lineWidth = Math.max(2, canvas.width / 320);
  for (const box of boxes) {
    context.strokeStyle = BOX_COLOURS[box.label % BOX_COLOURS.length]!;
    context.strokeRect(box.x0 * zoom, box.y0 * zoom, (box.x1 - box.x0) * zoom, (box.y1 - box.y0) * zoom);
  }
}
