// What waits for a person's word, the one that is looked at, and what all words together say of each release.

import {
  readAccuracy,
  readDuty,
  readList,
  readReview,
  readReviewDetail,
  type Accuracy,
  type Duty,
  type Review,
  type ReviewDetail,
} from './model.ts';
import { Poller } from './poller.ts';

const POLL_MS = 15_000;
const MAX_RELEASES = 8;

export type Word = 'true' | 'false' | 'unsure';

export interface Line {
  get: (path: string) => Promise<unknown>;
  say: (path: string, said: object) => Promise<unknown>;
  file: (path: string) => Promise<Blob>;
  now: () => number;
}

export class Reviews {
  /** Null: not known (yet, an older server, or this operator may not see them). */
  queue = $state.raw<Review[] | null>(null);
  duty = $state.raw<Duty>({ open: null, late: null, perOperatorHour: null });
  accuracy = $state.raw(new Map<string, Accuracy[]>());
  current = $state.raw<ReviewDetail | null>(null);
  picture = $state.raw<Blob | null>(null);
  open = $state(false);
  problem = $state('');
  done = $state.raw<{ id: number; verdict: Word } | null>(null);
  /** Digests whose accuracy is asked for. */
  releases: string[] = [];

  readonly #line: Line;
  readonly #poller = new Poller(() => this.#poll(), POLL_MS);
  readonly #passed = new Set<number>(); // put off, or said already

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

  async show(): Promise<void> {
    this.open = true;
    this.#passed.clear();
    await this.next();
  }

  hide(): void {
    this.open = false;
    this.current = null;
    this.picture = null;
    this.done = null;
    this.problem = '';
  }

  /** The first in the queue that was not put off. */
  async next(): Promise<void> {
    const id = this.queue?.find((review) => !this.#passed.has(review.id))?.id;
    this.current = null;
    this.picture = null;
    this.problem = '';
    if (id === undefined) return;
    this.#passed.add(id);
    try {
      this.current = readReviewDetail(await this.#line.get(`reviews/${id}`));
      void this.#line.say(`reviews/${id}`, { verdict: 'seen' }).catch(() => {}); // who may only look does not mark it
      if (!this.current?.picture) return;
      const picture = await this.#line.file(`reviews/${id}/picture`);
      if (this.current?.id === id) this.picture = picture; // unless somebody was faster than the network
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
  }

  async decide(verdict: Word, missed: number, note: string): Promise<void> {
    const review = this.current;
    if (!review) return;
    try {
      await this.#line.say(`reviews/${review.id}`, { verdict, missed, note });
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      return;
    }
    this.done = { id: review.id, verdict };
    this.queue = (this.queue ?? []).filter((other) => other.id !== review.id);
    this.nudge();
    await this.next();
  }

  async #poll(): Promise<void> {
    try {
      const [queue, duty] = await Promise.all([this.#line.get('reviews?state=open&limit=200'), this.#line.get('alarms')]);
      this.queue = readList(queue, 'reviews', readReview);
      this.duty = readDuty(duty);
    } catch {
      this.queue = null;
    }
    await this.#readAccuracy();
  }

  async #readAccuracy(): Promise<void> {
    const wanted = this.releases.slice(-MAX_RELEASES);
    const answers = await Promise.all(
      wanted.map(async (digest) => {
        const body = await this.#line.get(`accuracy?release=${encodeURIComponent(digest)}`).catch(() => null);
        return [digest, body === null ? [] : readList(body, 'groups', readAccuracy)] as const;
      }),
    );
    this.accuracy = new Map(answers.filter(([, groups]) => groups.length > 0));
  }
}
