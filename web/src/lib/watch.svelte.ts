// What the fleet's watchers say: open findings of drift, why rollouts and guards decided as they did, and a robot's numbers of the
// last hour. An older server has none of it, and that is no reason to show nothing else.

import { ApiError } from './api.ts';
import { readDecision, readDrift, readList, readSeries, type Decision, type Drift, type Rollout, type Series } from './model.ts';
import { Poller } from './poller.ts';
import { orderRollouts } from './rollouts.ts';
import { SHOWN_SERIES, shownSeries } from './series.ts';

const POLL_MS = 15_000;
const MOST_ROLLOUTS = 3;
const MOST_DECISIONS = 8;

interface Line {
  get: (path: string) => Promise<unknown>;
  say: (path: string, said: object) => Promise<unknown>;
  robot: () => string;
  rollouts: () => Rollout[];
}

export class Watch {
  /** Open ones; null: not known. */
  drift = $state.raw<Drift[] | null>(null);
  byRollout = $state.raw(new Map<string, Decision[]>());
  ofRobot = $state.raw<Decision[]>([]);
  series = $state.raw<Series[]>([]);

  readonly #line: Line;
  readonly #poller = new Poller(() => this.#poll(), POLL_MS);

  constructor(line: Line) {
    this.#line = line;
  }

  start(): void {
    this.#poller.start();
  }

  stop(): void {
    this.#poller.stop();
  }

  nudge(): void {
    this.#poller.nudge();
  }

  /** Another robot is looked at, or none. */
  look(): void {
    this.ofRobot = [];
    this.series = [];
    this.nudge();
  }

  /** Throws what the server said against it. */
  async acknowledge(id: number, note: string): Promise<void> {
    await this.#line.say(`drift/${id}/acknowledge`, { note });
    this.drift = this.drift?.filter((finding) => finding.id !== id) ?? null;
    this.nudge();
  }

  async #poll(): Promise<void> {
    await Promise.all([this.#readDrift(), this.#readRollouts(), this.#readRobot()]);
  }

  /** What was known last stays when an answer is lost; the page's own banner says that it is old. */
  async #readDrift(): Promise<void> {
    try {
      const all = readList(await this.#line.get('drift?state=open'), 'drift', readDrift);
      this.drift = all.filter((finding) => finding.closedMs === null);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 403)) this.drift = null;
    }
  }

  async #decisions(of: string): Promise<Decision[]> {
    const body = await this.#line.get(`decisions?${of}&limit=${MOST_DECISIONS}`).catch(() => null);
    return body === null ? [] : readList(body, 'decisions', readDecision);
  }

  async #readRollouts(): Promise<void> {
    const shown = orderRollouts(this.#line.rollouts()).slice(0, MOST_ROLLOUTS);
    const answers = await Promise.all(shown.map(async ({ id }) => [id, await this.#decisions(`rollout=${encodeURIComponent(id)}`)] as const));
    this.byRollout = new Map(answers);
  }

  async #readRobot(): Promise<void> {
    const id = this.#line.robot();
    if (!id) return;
    const robot = `robot=${encodeURIComponent(id)}`;
    const read = async (name: string) => {
      const body = await this.#line.get(`series?${robot}&name=${encodeURIComponent(name)}`).catch(() => null);
      return body === null ? [] : readList(body, 'series', readSeries);
    };
    const [decisions, ...series] = await Promise.all([this.#decisions(robot), ...SHOWN_SERIES.map(read)]);
    if (this.#line.robot() !== id) return;
    this.ofRobot = decisions;
    this.series = shownSeries(series.flat());
  }
}
