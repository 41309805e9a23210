// What the server says, as the console knows it. Every document is foreign: a field that is missing, of the wrong type or
// not finite becomes null ("unknown"), never zero and never a good value; an entry without its key is left out.

export type Presence = 'live' | 'late' | 'offline' | 'never' | 'unknown';
export type Verdict = 'pass' | 'fail' | 'waiting' | 'unknown';

export interface ReleaseRef {
  digest: string;
  name: string;
  version: string;
}

/** The state of the robot's guard, as it said last; for one that stands, whose word it is and why. */
export interface Guard {
  state: string;
  sinceMs: number | null;
  who: string;
  text: string;
}

export interface Robot {
  id: string;
  labels: Record<string, string>;
  presence: Presence;
  /** Link, agent and inference, each by itself; '' from a server that does not say. */
  facets: { link: string; agent: string; inference: string };
  lastSeenMs: number | null;
  release: ReleaseRef | null;
  target: ReleaseRef | null;
  phase: string;
  phaseText: string;
  guard: Guard | null;
  frames: number | null;
  results: number | null;
  lost: number | null;
  p50Ms: number | null;
  p99Ms: number | null;
  interventionShare: number | null;
  accuracyF1: number | null;
  revoked: boolean;
  quarantine: string | null;
}

export interface Report {
  stream: string;
  seq: number | null;
  timeMs: number | null;
  kind: string;
  version: string;
  text: string;
}

export interface Telemetry {
  robots: number | null;
  frames: number | null;
  results: number | null;
  lost: number | null;
  p50Ms: number | null;
  p99Ms: number | null;
  overBudgetShare: number | null;
  interventionShare: number | null;
  interventions: Record<string, number>;
  f1: number | null;
  labelledFrames: number | null;
}

export interface RobotDetail extends Robot {
  reports: Report[];
  telemetry: { release: ReleaseRef; telemetry: Telemetry }[];
}

export interface Release extends ReleaseRef {
  sizeBytes: number | null;
  signedBy: string[];
  createdMs: number | null;
  budgetP99Ms: number | null;
  telemetry: Telemetry;
}

export interface Wave {
  name: string;
  robots: string[];
  state: string;
  bakeLeftS: number | null;
}

export interface Gate {
  name: string;
  value: number | null;
  limit: number | null;
  evidence: number | null;
  /** An interval that may be looked at at any time, where there is one. */
  low: number | null;
  high: number | null;
  verdict: Verdict;
}

export interface Rollout {
  id: string;
  name: string;
  release: ReleaseRef | null;
  state: string;
  wave: number | null;
  waves: Wave[];
  gates: Gate[];
  reason: string;
  startedMs: number | null;
  endedMs: number | null;
}

export interface FleetEvent {
  id: number;
  timeMs: number | null;
  kind: string;
  robot: string;
  text: string;
}

/** What a robot's black box sealed around an event. */
export interface Incident {
  id: number;
  robot: string;
  name: string;
  cause: string;
  severity: number | null;
  text: string;
  who: string;
  timeMs: number | null;
  bytes: number | null;
}

/** A frame or an alarm that a person is to look at. */
export interface Review {
  id: number;
  robot: string;
  site: string;
  release: ReleaseRef | null;
  timeMs: number | null;
  receivedMs: number | null;
  reason: string;
  probability: number | null;
  score: number | null;
  picture: boolean;
  verdict: string;
  missed: number;
  note: string;
}

export interface Box {
  label: number;
  score: number;
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export interface ReviewDetail extends Review {
  width: number | null;
  height: number | null;
  rateHz: number | null;
  boxes: Box[];
  values: number[];
  labels: string[];
  shape: number[];
}

export interface Estimate {
  value: number | null;
  low: number | null;
  high: number | null;
  evidence: number | null;
}

/** What verdicts say of a release, at one site or (site null) in the fleet. */
export interface Accuracy {
  site: string | null;
  hours: number | null;
  alarms: { count: number; open: number; missed: number; precision: Estimate; recall: Estimate; falsePerHour: Estimate };
  frames: { audits: number; open: number; precision: Estimate; recall: Estimate };
  unlabelled: { accuracy: number | null; valid: boolean; because: string };
}

/** Something that drifts: one for each release and cause, of one robot or of many. */
export interface Drift {
  id: number;
  common: boolean;
  release: ReleaseRef | null;
  cause: string;
  text: string;
  remedy: string;
  openedMs: number | null;
  closedMs: number | null;
  robotCount: number | null;
  robots: string[];
}

/** Why something stepped in: a rollout, the guard of a robot, its watcher. */
export interface Decision {
  id: number;
  robot: string;
  who: string;
  rule: string;
  timeMs: number | null;
  subject: string;
  because: string;
  otherwise: string;
  count: number;
}

export interface Series {
  name: string;
  unit: string;
  attribute: string;
  word: string;
  /** Digest, or '' for a series of no release. */
  release: string;
  lastMs: number | null;
  last: number | null;
  points: [timeMs: number, value: number][];
}

export interface Duty {
  open: number | null;
  late: number | null;
  perOperatorHour: number | null;
}

type Fields = Record<string, unknown>;

function fields(x: unknown): Fields {
  return typeof x === 'object' && x !== null && !Array.isArray(x) ? (x as Fields) : {};
}

function list(x: unknown): unknown[] {
  return Array.isArray(x) ? x : [];
}

function text(x: unknown): string {
  return typeof x === 'string' ? x : '';
}

function number(x: unknown): number | null {
  return typeof x === 'number' && Number.isFinite(x) ? x : null;
}

function oneOf<T extends string>(x: unknown, allowed: readonly T[], otherwise: T): T {
  return allowed.includes(x as T) ? (x as T) : otherwise;
}

function keep<T>(items: (T | null)[]): T[] {
  return items.filter((item): item is T => item !== null);
}

export function readReleaseRef(x: unknown): ReleaseRef | null {
  const f = fields(x);
  const digest = text(f.digest);
  return digest ? { digest, name: text(f.name), version: text(f.version) } : null;
}

function readLabels(x: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(fields(x)).filter((e): e is [string, string] => typeof e[1] === 'string'));
}

function readCounts(x: unknown): Record<string, number> {
  const entries = Object.entries(fields(x)).map(([key, value]) => [key, number(value)] as const);
  return Object.fromEntries(entries.filter((e): e is readonly [string, number] => e[1] !== null));
}

function readGuard(x: unknown): Guard | null {
  const f = fields(x);
  const state = text(f.state);
  return state ? { state, sinceMs: number(f.since_ms), who: text(f.who), text: text(f.text) } : null;
}

function readFacets(x: unknown): Robot['facets'] {
  const f = fields(x);
  return { link: text(f.link), agent: text(f.agent), inference: text(f.inference) };
}

export function readRobot(x: unknown): Robot | null {
  const f = fields(x);
  const id = text(f.id);
  if (!id) return null;
  return {
    id,
    labels: readLabels(f.labels),
    presence: oneOf(f.presence, ['live', 'late', 'offline', 'never'], 'unknown'),
    facets: readFacets(f.facets),
    lastSeenMs: number(f.last_seen_ms) || null, // 0 means never
    release: readReleaseRef(f.release),
    target: readReleaseRef(f.target),
    phase: text(f.phase) || 'unknown',
    phaseText: text(f.phase_text),
    guard: readGuard(f.guard),
    frames: number(f.frames),
    results: number(f.results),
    lost: number(f.lost),
    p50Ms: number(f.latency_p50_ms),
    p99Ms: number(f.latency_p99_ms),
    interventionShare: number(f.intervention_share),
    accuracyF1: number(f.accuracy_f1),
    revoked: f.revoked === true,
    quarantine: text(fields(f.quarantined).text) || null,
  };
}

function readTelemetry(x: unknown): Telemetry {
  const f = fields(x);
  const score = fields(f.score);
  return {
    robots: number(f.robots),
    frames: number(f.frames),
    results: number(f.results),
    lost: number(f.lost),
    p50Ms: number(f.latency_p50_ms),
    p99Ms: number(f.latency_p99_ms),
    overBudgetShare: number(f.over_budget_share),
    interventionShare: number(f.intervention_share),
    interventions: readCounts(f.interventions),
    f1: number(score.f1),
    labelledFrames: number(score.frames),
  };
}

function readReport(x: unknown): Report {
  const f = fields(x);
  return {
    stream: text(f.stream),
    seq: number(f.seq),
    timeMs: number(f.time_ms),
    kind: text(f.kind) || 'unknown',
    version: text(f.version),
    text: text(f.text),
  };
}

export function readRobotDetail(x: unknown): RobotDetail | null {
  const robot = readRobot(x);
  if (!robot) return null;
  const f = fields(x);
  const telemetry = list(f.telemetry).map((item) => {
    const entry = fields(item);
    const release = readReleaseRef(entry.release) ?? readReleaseRef(entry);
    return release && { release, telemetry: readTelemetry(entry.telemetry ?? entry) };
  });
  return { ...robot, reports: list(f.reports).map(readReport), telemetry: keep(telemetry) };
}

export function readRelease(x: unknown): Release | null {
  const ref = readReleaseRef(x);
  if (!ref) return null;
  const f = fields(x);
  return {
    ...ref,
    sizeBytes: number(f.size_bytes),
    signedBy: list(f.signed_by).map(text).filter(Boolean),
    createdMs: number(f.created_ms),
    budgetP99Ms: number(fields(f.budgets).latency_p99_ms),
    telemetry: readTelemetry(f.telemetry),
  };
}

function readWave(x: unknown): Wave {
  const f = fields(x);
  return {
    name: text(f.name),
    robots: list(f.robots).map(text).filter(Boolean),
    state: text(f.state) || 'unknown',
    bakeLeftS: number(f.bake_left_s),
  };
}

function readGate(x: unknown): Gate {
  const f = fields(x);
  return {
    name: text(f.name),
    value: number(f.value),
    limit: number(f.limit),
    evidence: number(f.evidence),
    low: number(f.low),
    high: number(f.high),
    verdict: oneOf(f.verdict, ['pass', 'fail', 'waiting'], 'unknown'),
  };
}

export function readRollout(x: unknown): Rollout | null {
  const f = fields(x);
  const id = typeof f.id === 'number' ? String(f.id) : text(f.id);
  if (!id) return null;
  return {
    id,
    name: text(f.name),
    release: readReleaseRef(f.release),
    state: text(f.state) || 'unknown',
    wave: number(f.wave),
    waves: list(f.waves).map(readWave),
    gates: list(f.gates).map(readGate),
    reason: text(f.reason),
    startedMs: number(f.started_ms),
    endedMs: number(f.ended_ms),
  };
}

export function readEvent(x: unknown): FleetEvent | null {
  const f = fields(x);
  const id = number(f.id);
  if (id === null) return null;
  return { id, timeMs: number(f.time_ms), kind: text(f.kind) || 'unknown', robot: text(f.robot), text: text(f.text) };
}

export function readIncident(x: unknown): Incident | null {
  const f = fields(x);
  const id = number(f.id);
  if (id === null) return null;
  return {
    id,
    robot: text(f.robot),
    name: text(f.name),
    cause: text(f.cause) || 'unknown',
    severity: number(f.severity),
    text: text(f.text),
    who: text(f.who),
    timeMs: number(f.time_ms),
    bytes: number(f.bytes),
  };
}

export function readReview(x: unknown): Review | null {
  const f = fields(x);
  const id = number(f.id);
  if (id === null) return null;
  return {
    id,
    robot: text(f.robot),
    site: text(f.site),
    release: readReleaseRef(f.release),
    timeMs: number(f.time_ms),
    receivedMs: number(f.received_ms),
    reason: text(f.reason) || 'unknown',
    probability: number(f.probability),
    score: number(f.score),
    picture: f.picture === true,
    verdict: text(f.verdict) || 'unknown',
    missed: number(f.missed) ?? 0,
    note: text(f.note),
  };
}

function readBox(x: unknown): Box | null {
  const [label, score, x0, y0, x1, y1] = list(x).map(number);
  if (label == null || score == null || x0 == null || y0 == null || x1 == null || y1 == null) return null;
  return { label, score, x0, y0, x1, y1 };
}

export function readReviewDetail(x: unknown): ReviewDetail | null {
  const review = readReview(x);
  if (!review) return null;
  const f = fields(x);
  return {
    ...review,
    width: number(f.width),
    height: number(f.height),
    rateHz: number(f.rate_hz) || null, // 0: no time series
    boxes: keep(list(f.detections).map(readBox)),
    values: keep(list(f.values).map(number)),
    labels: list(f.labels).map(text),
    shape: keep(list(f.shape).map(number)),
  };
}

function readEstimate(x: unknown): Estimate {
  const f = fields(x);
  return { value: number(f.value), low: number(f.low), high: number(f.high), evidence: number(f.evidence) };
}

export function readAccuracy(x: unknown): Accuracy | null {
  const f = fields(x);
  if (f.site !== null && typeof f.site !== 'string') return null;
  const [alarms, frames, unlabelled] = [fields(f.alarms), fields(f.frames), fields(f.unlabelled)];
  return {
    site: f.site,
    hours: number(f.operating_hours),
    alarms: {
      count: number(alarms.count) ?? 0,
      open: number(alarms.open) ?? 0,
      missed: number(alarms.missed) ?? 0,
      precision: readEstimate(alarms.precision),
      recall: readEstimate(alarms.recall),
      falsePerHour: readEstimate(alarms.false_per_hour),
    },
    frames: {
      audits: number(frames.audits) ?? 0,
      open: number(frames.open) ?? 0,
      precision: readEstimate(frames.precision),
      recall: readEstimate(frames.recall),
    },
    unlabelled: { accuracy: number(unlabelled.accuracy), valid: unlabelled.valid === true, because: text(unlabelled.because) },
  };
}

export function readDrift(x: unknown): Drift | null {
  const f = fields(x);
  const id = number(f.id);
  if (id === null) return null;
  return {
    id,
    common: f.common === true,
    release: readReleaseRef(f.release),
    cause: text(f.cause) || 'unknown',
    text: text(f.text),
    remedy: text(f.remedy),
    openedMs: number(f.opened_ms),
    closedMs: number(f.closed_ms) || null, // 0: open
    robotCount: number(f.robot_count),
    robots: list(f.robots).map(text).filter(Boolean),
  };
}

export function readDecision(x: unknown): Decision | null {
  const f = fields(x);
  const id = number(f.id);
  if (id === null) return null;
  const said = fields(f.decision);
  return {
    id,
    robot: text(f.robot),
    who: text(f.who) || 'unknown',
    rule: text(f.rule) || 'unknown',
    timeMs: number(f.time_ms),
    subject: text(said.subject),
    because: text(said.because),
    otherwise: text(said.otherwise),
    count: number(said.count) ?? 1,
  };
}

function readPoint(x: unknown): [number, number] | null {
  const [timeMs, value] = list(x).map(number);
  return timeMs == null || value == null ? null : [timeMs, value];
}

export function readSeries(x: unknown): Series | null {
  const f = fields(x);
  const name = text(f.name);
  if (!name) return null;
  return {
    name,
    unit: text(f.unit),
    attribute: text(f.attribute),
    word: text(f.word),
    release: text(f.release),
    lastMs: number(f.last_ms),
    last: number(f.last),
    points: keep(list(f.points).map(readPoint)),
  };
}

export function readDuty(x: unknown): Duty {
  const f = fields(x);
  return { open: number(f.open), late: number(f.late), perOperatorHour: number(f.per_operator_hour) };
}

/** The list under `key` of an answer such as {"robots": […]}; throws when the answer has no such list at all. */
export function readList<T>(x: unknown, key: string, read: (item: unknown) => T | null): T[] {
  const items = fields(x)[key];
  if (!Array.isArray(items)) throw new Error(`the server's answer has no list “${key}”`);
  return keep(items.map(read));
}

/** Where the next page begins; null on the last one. */
export function readNext(x: unknown): string | null {
  return text(fields(x).next) || null;
}
