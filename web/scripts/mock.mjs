// A pretend musterd for work on the console only: serves dist with the policy of the real one and plays a fleet that takes
// detector 1.0.0, then 2.0.0, then throws out 3.0.0. Nothing here is a measurement.
//
//   node scripts/mock.mjs [--port 8089] [--robots 10]     then open http://127.0.0.1:8089/#token=mock-token
//
// Its clock stands still until POST /mock/advance?s=N with --manual (for screenshots); otherwise it runs eight times as fast.

import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { World } from './mock-world.mjs';

const TOKEN = 'mock-token';
const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

function sendJson(reply, body, date) {
  reply.writeHead(200, { 'Content-Type': 'application/json', Date: new Date(date).toUTCString() }).end(JSON.stringify(body));
}

function sendFile(path, reply) {
  const file = join(DIST, normalize(path === '/' ? '/index.html' : path));
  if (!file.startsWith(DIST) || !existsSync(file) || !statSync(file).isFile()) return reply.writeHead(404).end('not found');
  reply.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream', 'Content-Security-Policy': POLICY });
  createReadStream(file).pipe(reply);
}

function streamEvents(world, request, reply) {
  reply.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  const send = (event) => reply.write(`id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`);
  const after = Number(request.headers['last-event-id'] ?? 0);
  world.events.filter((event) => event.id > after).slice(-50).forEach(send);
  world.listeners.add(send);
  world.streams.add(reply);
  reply.on('close', () => (world.listeners.delete(send), world.streams.delete(reply)));
}

function api(world, path, request, reply) {
  if (request.headers.authorization !== `Bearer ${TOKEN}`) {
    reply.writeHead(401, { 'Content-Type': 'application/json' });
    return reply.end('{"error":{"code":"denied","message":"no such token; sign in again"}}');
  }
  const [what, id] = path.split('/');
  if (what === 'events') return streamEvents(world, request, reply);
  if (what === 'robots' && id) return sendJson(reply, world.robotDetail(decodeURIComponent(id)), world.nowMs);
  if (what === 'robots') return sendJson(reply, { robots: world.robots(), next: null }, world.nowMs);
  if (what === 'releases') return sendJson(reply, { releases: world.releases() }, world.nowMs);
  if (what === 'rollouts') return sendJson(reply, { rollouts: world.rollouts() }, world.nowMs);
  if (what === 'incidents' && !id) return sendJson(reply, { incidents: world.incidents() }, world.nowMs);
  if (what === 'alarms') return sendJson(reply, world.alarms(), world.nowMs);
  if (what === 'accuracy') return sendJson(reply, world.accuracy(), world.nowMs);
  if (what === 'reviews') return reviews(world, path, request, reply);
  if (what === 'drift') return drift(world, path, request, reply);
  const asked = new URL(request.url, 'http://mock').searchParams;
  if (what === 'decisions') return sendJson(reply, { decisions: world.decisions(asked) }, world.nowMs);
  if (what === 'series') return sendJson(reply, { series: world.numbers(asked.get('name')), step_ms: 60000, more: false }, world.nowMs);
  return reply.writeHead(404).end();
}

function drift(world, path, request, reply) {
  const [, id, verb] = path.split('/');
  if (!id) return sendJson(reply, { drift: world.drift.filter((finding) => !finding.closed_ms) }, world.nowMs);
  const finding = world.drift.find((other) => other.id === Number(id));
  if (!finding || verb !== 'acknowledge' || request.method !== 'POST') return reply.writeHead(404).end();
  finding.closed_ms = finding.acknowledged_ms = world.nowMs;
  return sendJson(reply, finding, world.nowMs);
}

/** A red field. */
const JPEG = Buffer.from(
  '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/' +
    '2wBDARUXFx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wAARCAAQACADASIAAhEBAxEB/8QA' +
    'FQABAQAAAAAAAAAAAAAAAAAAAAX/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFgEBAQEAAAAAAAAAAAAAAAAAAAQG/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/a' +
    'AAwDAQACEQMRAD8AmAJGgAAf/9k=',
  'base64',
);

async function reviews(world, path, request, reply) {
  const [, id, picture] = path.split('/');
  if (!id) return sendJson(reply, { reviews: world.reviews.filter((review) => review.verdict === 'open') }, world.nowMs);
  const review = world.reviews.find((other) => other.id === Number(id));
  if (!review) return reply.writeHead(404).end();
  if (picture && review.reason !== 'alarm') return reply.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(JPEG);
  if (picture) return reply.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(world.series());
  if (request.method === 'POST') {
    let text = '';
    for await (const part of request) text += part;
    const said = JSON.parse(text);
    if (said.verdict !== 'seen') Object.assign(review, said);
  }
  if (review.reason !== 'alarm')
    return sendJson(reply, { ...review, width: 64, height: 32, rate_hz: 0, detections: [[1, 0.52, 8, 8, 40, 28]], labels: ['person', 'crate'] }, world.nowMs);
  return sendJson(reply, { ...review, width: 600, height: 1, rate_hz: 50, values: [0.83], labels: ['fall'], shape: [1, 6, 100] }, world.nowMs);
}

export function startMock({ port = 0, robots = 10, manual = true, startMs = Date.now() } = {}) {
  const world = new World(robots, startMs);
  const server = createServer((request, reply) => {
    const url = new URL(request.url, 'http://mock');
    if (url.pathname.startsWith('/api/v1/')) return api(world, url.pathname.slice(8), request, reply);
    if (request.method === 'POST' && url.pathname === '/mock/advance') {
      world.advance(Number(url.searchParams.get('s')));
      return sendJson(reply, { now_ms: world.nowMs }, world.nowMs);
    }
    return sendFile(url.pathname, reply);
  });
  const timer = manual ? null : setInterval(() => world.advance(4), 500);
  const dropStreams = () => world.streams.forEach((reply) => reply.destroy());
  const stop = () => (clearInterval(timer), server.closeAllConnections(), server.close());
  return new Promise((resolve) =>
    server.listen(port, '127.0.0.1', () => resolve({ world, stop, dropStreams, url: `http://127.0.0.1:${server.address().port}/`, token: TOKEN })),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { port: { type: 'string', default: '8089' }, robots: { type: 'string', default: '10' }, manual: { type: 'boolean' } },
  });
  const mock = await startMock({ port: Number(values.port), robots: Number(values.robots), manual: values.manual ?? false });
  console.log(`${mock.url}#token=${mock.token}`);
}
