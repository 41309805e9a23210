// What the page knows at this moment: polled lists, the event stream, their ages and the link to the server. One instance per
// signed-in session; `stop` ends every request and timer.

import { ApiError, apiGet, apiSay, openEvents, readFile } from './api.ts';
import { ServerClock } from './clock.ts';
import { History } from './history.ts';
import {
  readEvent,
  readIncident,
  readList,
  readNext,
  readRelease,
  readRobot,
  readRobotDetail,
  readRollout,
  type FleetEvent,
  type Incident,
  type Release,
  type Robot,
  type RobotDetail,
  type Rollout,
} from './model.ts';
import { Poller } from './poller.ts';
import { Progress } from './progress.ts';
import { budgetOf, DEFAULT_INTERVENTION_LIMIT, robotStatus, type Status } from './status.ts';
import { gateKey } from './rollouts.ts';
import { followEvents, type LinkState } from './stream.ts';
import { Reviews } from './reviews.svelte.ts';
import { Watch } from './watch.svelte.ts';
import { sumKnown, summarise } from './summary.ts';
import { SseParser } from './sse.ts';

export const POLL_MS = 2_000;
export const STALE_MS = 4 * POLL_MS;
const HISTORY_POINTS = 900; // half an hour
const MAX_EVENTS = 300;
const MAX_PAGES = 20;

type Message = ReturnType<SseParser['push']>[number];

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}

export class Fleet {
  robots = $state.raw<Robot[]>([]);
  releases = $state.raw<Release[]>([]);
  rollouts = $state.raw<Rollout[]>([]);
  events = $state.raw<FleetEvent[]>([]);
  /** Null: not known (yet, or the server has none to tell of). */
  incidents = $state.raw<Incident[] | null>(null);
  detail = $state.raw<RobotDetail | null>(null);
  detailProblem = $state('');
  selected = $state('');
  link = $state<LinkState>('connecting');
  problem = $state('');
  denied = $state(false);
  loaded = $state(false);
  answeredMs = $state(0);
  localMs = $state(Date.now());
  /** Grows with every row of the histories, which are too big to be deep state. */
  historyRows = $state(0);
  framesPerSecond = $state.raw<number | null>(null);

  readonly latency = new History(HISTORY_POINTS, 5 * (POLL_MS / 1000));
  readonly robotLatency = new History(HISTORY_POINTS, 5 * (POLL_MS / 1000));

  readonly ageMs = $derived(this.answeredMs === 0 ? 0 : this.localMs - this.answeredMs);
  readonly stale = $derived(this.ageMs > STALE_MS);
  readonly nowMs = $derived.by(() => this.#clock.now(this.localMs));
  readonly summary = $derived(summarise(this.robots, this.releases, this.rollouts));
  readonly interventionLimit = $derived(this.#limitOfOpenRollout());
  readonly statuses = $derived(new Map(this.robots.map((robot) => [robot.id, this.#status(robot)])));

  readonly watch = new Watch({
    get: (path) => this.#get(path),
    say: (path, said) => apiSay(path, said, this.#token, this.#abort.signal),
    robot: () => this.selected,
    rollouts: () => this.rollouts,
  });

  readonly reviews = new Reviews({
    get: (path) => this.#get(path),
    say: (path, said) => apiSay(path, said, this.#token, this.#abort.signal),
    file: (path) => readFile(path, this.#token, this.#abort.signal),
    now: () => this.nowMs,
  });

  readonly #token: string;
  readonly #clock = new ServerClock();
  readonly #progress = new Progress();
  readonly #abort = new AbortController();
  readonly #poller = new Poller(() => this.#poll(), POLL_MS);
  #still = $state.raw(new Map<string, number>());
  #frames: { atMs: number; count: number }[] = [];
  #ticker: ReturnType<typeof setInterval> | undefined;

  constructor(token: string) {
    this.#token = token;
  }

  start(): void {
    this.#ticker = setInterval(() => (this.localMs = Date.now()), 1_000);
    this.#poller.start();
    this.reviews.start();
    this.watch.start();
    void this.#follow();
  }

  stop(): void {
    clearInterval(this.#ticker);
    this.#poller.stop();
    this.reviews.stop();
    this.watch.stop();
    this.#abort.abort();
  }

  select(id: string): void {
    this.selected = id;
    this.detail = null;
    this.detailProblem = '';
    if (id) void this.#readDetail();
    this.watch.look();
  }

  #limitOfOpenRollout(): number {
    const gates = this.summary.openRollouts.flatMap((rollout) => rollout.gates);
    return gates.find((gate) => gateKey(gate) === 'intervention_share')?.limit ?? DEFAULT_INTERVENTION_LIMIT;
  }

  #status(robot: Robot): Status {
    return robotStatus(robot, {
      stale: this.stale,
      nowMs: this.nowMs,
      stillMs: this.#still.get(robot.id) ?? 0,
      budgetP99Ms: budgetOf(this.releases, robot),
      interventionLimit: this.interventionLimit,
    });
  }

  async #get(path: string): Promise<unknown> {
    const answer = await apiGet(path, this.#token, this.#abort.signal);
    this.#clock.observe(answer.serverMs, Date.now());
    return answer.body;
  }

  async #readRobots(): Promise<Robot[]> {
    const robots: Robot[] = [];
    let after = '';
    for (let page = 0; page < MAX_PAGES; page++) {
      const body = await this.#get(`robots${after && `?after=${encodeURIComponent(after)}`}`);
      robots.push(...readList(body, 'robots', readRobot));
      after = readNext(body) ?? '';
      if (!after) break;
    }
    return robots;
  }

  /** An older server has none: that is no reason to show nothing else. */
  async #readIncidents(): Promise<Incident[] | null> {
    try {
      return readList(await this.#get('incidents?limit=50'), 'incidents', readIncident);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  /** The recording of an incident. */
  incidentFile(id: number): Promise<Blob> {
    return readFile(`incidents/${id}/file`, this.#token, this.#abort.signal);
  }

  async #poll(): Promise<void> {
    try {
      const [robots, releases, rollouts, incidents] = await Promise.all([
        this.#readRobots(),
        this.#get('releases').then((body) => readList(body, 'releases', readRelease)),
        this.#get('rollouts').then((body) => readList(body, 'rollouts', readRollout)),
        this.#readIncidents(),
        this.selected ? this.#readDetail() : null,
      ]);
      this.incidents = incidents;
      this.#accept(robots, releases, rollouts);
    } catch (error) {
      this.#fail(error);
    }
  }

  #accept(robots: Robot[], releases: Release[], rollouts: Rollout[]): void {
    const nowMs = Date.now();
    if (nowMs - this.answeredMs > STALE_MS) this.#forgetProgress();
    this.#still = new Map(robots.map((r) => [r.id, this.#progress.observe(`${r.id} ${r.release?.digest}`, r.frames, nowMs)]));
    this.#observeFrames(sumKnown(releases.map((release) => release.telemetry.frames)), nowMs);
    this.#record(robots, releases, nowMs / 1000);
    this.robots = robots;
    this.releases = releases;
    this.rollouts = rollouts;
    this.reviews.releases = releases.filter((release) => release.telemetry.frames).map((release) => release.digest);
    this.answeredMs = this.localMs = nowMs;
    this.loaded = true;
    this.problem = '';
  }

  #forgetProgress(): void {
    this.#progress.forget();
    this.#frames = [];
  }

  #observeFrames(count: number | null, atMs: number): void {
    if (count === null) return void (this.framesPerSecond = null);
    this.#frames = [...this.#frames.filter((f) => atMs - f.atMs < 30_000), { atMs, count }];
    const first = this.#frames[0]!;
    const spanMs = atMs - first.atMs;
    this.framesPerSecond = spanMs < 5_000 ? null : Math.max(0, ((count - first.count) / spanMs) * 1000);
  }

  #record(robots: Robot[], releases: Release[], timeS: number): void {
    const byVersion: Record<string, number | null> = {};
    for (const { digest, telemetry } of releases) {
      byVersion[`${digest} p50`] = telemetry.p50Ms;
      byVersion[`${digest} p99`] = telemetry.p99Ms;
    }
    const byRobot: Record<string, number | null> = {};
    for (const { id, p50Ms, p99Ms } of robots) {
      byRobot[`${id} p50`] = p50Ms;
      byRobot[`${id} p99`] = p99Ms;
    }
    this.latency.push(timeS, byVersion);
    this.robotLatency.push(timeS, byRobot);
    this.historyRows++;
  }

  #fail(error: unknown): void {
    if (this.#abort.signal.aborted) return;
    if (error instanceof ApiError && error.status === 401) this.denied = true;
    this.problem = error instanceof Error ? error.message : String(error);
    this.localMs = Date.now();
  }

  async #readDetail(): Promise<void> {
    const id = this.selected;
    try {
      const detail = readRobotDetail(await this.#get(`robots/${encodeURIComponent(id)}`));
      if (this.selected !== id) return;
      this.detail = detail;
      this.detailProblem = '';
    } catch (error) {
      if (this.selected === id) this.detailProblem = error instanceof Error ? error.message : String(error);
    }
  }

  #follow(): Promise<void> {
    const effects = {
      open: (lastId: string, signal: AbortSignal) => openEvents(this.#token, lastId, signal),
      sleep,
      random: Math.random,
      now: Date.now,
    };
    const handlers = {
      onMessage: (message: Message) => this.#take(message),
      onState: (state: LinkState) => {
        this.link = state;
        if (state === 'denied') this.denied = true;
      },
    };
    return followEvents(effects, handlers, this.#abort.signal);
  }

  #take(message: Message): void {
    const event = readEvent(parseJson(message.data));
    if (!event || this.events.some((known) => known.id === event.id)) return;
    this.events = [event, ...this.events].slice(0, MAX_EVENTS);
    this.#poller.nudge();
    if (event.kind === 'review') this.reviews.nudge();
    if (event.kind === 'drift' || event.kind === 'rollout') this.watch.nudge();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
