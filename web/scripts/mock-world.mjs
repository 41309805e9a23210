// The pretend fleet behind mock.mjs: one step a second, seeded, so that the same second always looks the same.

const KINDS = [
  // bad: share of frames on which the guard steps in
  { version: '1.0.0', p50: 9.2, p99: 14.5, bad: 0.004, f1: 0.71 },
  { version: '2.0.0', p50: 10.1, p99: 16.2, bad: 0.002, f1: 0.83 },
  { version: '3.0.0', p50: 21.4, p99: 47.8, bad: 0.19, f1: 0.44 },
].map((kind, index) => ({
  ...kind,
  name: 'detector',
  digest: `sha256:${['7d3f', 'c41a', 'e902'][index].padEnd(8, '5')}${String(index + 1).repeat(56)}`,
}));
const PHASES = ['assigned', 'downloaded', 'verified', 'self_tested', 'probation', 'committed'];
const KIND_OF = { probation: 'activated' };
const STEP_S = 3;
const WAVES = [
  { name: 'canary', share: 0.2, bake_s: 20 },
  { name: 'half', share: 0.5, bake_s: 15 },
  { name: 'all', share: 1, bake_s: 10 },
];

const ref = (kind) => kind && { digest: kind.digest, name: kind.name, version: kind.version };

function makeReviews(timeMs) {
  const one = (id, reason, probability) => ({ id, robot: `r${id}`, site: 'north', release: ref(KINDS[0]), time_ms: timeMs, received_ms: timeMs, reason, probability, score: 0.83, count: 1, picture: true, seen_ms: 0, verdict: 'open', missed: 0, note: '' });
  return [one(3, 'alarm', 1), one(2, 'unsure', 0.1), one(1, 'audit', 0.0005)];
}

function makeDrift(timeMs) {
  const one = (id, common, cause, remedy, robots) => ({ id, common, release: ref(KINDS[0]), cause, text: `pretended: ${cause} since a while`, remedy, opened_ms: timeMs, updated_ms: timeMs, closed_ms: 0, acknowledged_ms: 0, acknowledged_by: '', log10_e: 6.1, robot_count: robots.length, robots });
  return [one(2, true, 'novelty', 'look at the novel frames (muster review): something is there that the model has not seen', ['r1', 'r2', 'r3']), one(1, false, 'sensor', 'clean the lens and look at the camera', ['r4'])];
}

export class World {
  constructor(count, startMs) {
    this.reviews = makeReviews(startMs);
    this.drift = makeDrift(startMs);
    this.startMs = startMs;
    this.second = 0;
    this.seed = 1;
    this.events = [];
    this.listeners = new Set();
    this.streams = new Set();
    this.plan = [];
    this.fleet = Array.from({ length: count }, (_, index) => ({
      id: `r${index + 1}`,
      labels: { site: index % 2 ? 'south' : 'north', dock: index % 5 === 0 ? 'yes' : 'no' },
      lastSeenMs: startMs,
      kind: null,
      target: null,
      phase: 'idle',
      text: '',
      reports: [],
      by: new Map(),
    }));
    this.tell('rollout', '', 'detector-1 started: release detector 1.0.0');
    this.begin('detector-1', KINDS[0]);
  }

  get nowMs() {
    return this.startMs + this.second * 1000;
  }

  random() {
    this.seed = (this.seed * 1103515245 + 12345) % 2147483648;
    return this.seed / 2147483648;
  }

  tell(kind, robot, text) {
    const event = { id: this.events.length + 1, time_ms: this.nowMs, kind, robot, text };
    this.events.push(event);
    this.listeners.forEach((send) => send(event));
  }

  begin(name, kind) {
    const waves = WAVES.map((wave) => ({
      ...wave,
      robots: this.fleet.slice(0, Math.max(1, Math.ceil(this.fleet.length * wave.share))).map((robot) => robot.id),
      state: 'pending',
      bake_left_s: null,
    }));
    this.plan.unshift({ id: this.plan.length + 1, name, kind, waves, wave: 0, state: 'running', reason: '', startedMs: this.nowMs, endedMs: null });
    this.startWave(this.plan[0]);
  }

  startWave(rollout) {
    const wave = rollout.waves[rollout.wave];
    wave.state = 'running';
    this.tell('wave', '', `${rollout.name}: wave ${wave.name} started, ${wave.robots.length} robots`);
    for (const robot of this.fleet.filter((r) => wave.robots.includes(r.id) && r.target !== rollout.kind)) this.assign(robot, rollout.kind);
  }

  assign(robot, kind) {
    robot.target = kind;
    robot.stepAt = this.second + Math.floor(this.random() * STEP_S) + 1;
    this.phase(robot, 'assigned', '');
  }

  phase(robot, phase, text) {
    robot.phase = phase;
    robot.text = text;
    const report = { stream: 'ab'.repeat(16), seq: robot.reports.length + 1, time_ms: this.nowMs, kind: KIND_OF[phase] ?? phase, version: robot.target.version, text };
    robot.reports.unshift(report);
    this.tell(`report.${report.kind}`, robot.id, `${robot.target.version}${text ? `: ${text}` : ''}`);
  }

  advance(seconds) {
    for (let i = 0; i < seconds; i++) this.tick();
  }

  tick() {
    this.second++;
    for (const robot of this.fleet) this.tickRobot(robot);
    if (this.plan[0].state === 'rolling_back') this.tickBack(this.plan[0]);
    if (this.plan[0].state === 'running') this.tickRollout(this.plan[0]);
    else if (this.second % 12 === 0 && this.plan.length < KINDS.length) {
      const kind = KINDS[this.plan.length];
      this.begin(`detector-${kind.version[0]}`, kind);
    }
  }

  tickRobot(robot) {
    const missing = this.plan.length === KINDS.length && robot === this.fleet[6];
    if (!missing) robot.lastSeenMs = this.nowMs - (robot.id.length > 2 ? 4000 : 1000);
    if (missing) return;
    const at = PHASES.indexOf(robot.phase);
    if (robot.target && at >= 0 && at < PHASES.length - 1 && this.second >= robot.stepAt) {
      robot.stepAt = this.second + STEP_S + (at === 3 ? 6 : 0);
      this.phase(robot, PHASES[at + 1], at === 2 ? '8 of 8 golden frames agree' : '');
      if (PHASES[at + 1] === 'probation') robot.kind = robot.target;
    }
    if (robot.kind) this.measure(robot);
  }

  measure(robot) {
    const total = robot.by.get(robot.kind) ?? { frames: 0, bad: 0, lost: 0, p50: 0, p99: 0 };
    const frames = 5;
    total.frames += frames;
    for (let i = 0; i < frames; i++) total.bad += this.random() < robot.kind.bad ? 1 : 0;
    total.p50 = robot.kind.p50 * (1 + 0.05 * Math.sin(this.second / 17 + robot.id.length) + 0.02 * this.random());
    total.p99 = robot.kind.p99 * (1 + 0.06 * Math.sin(this.second / 11) + 0.05 * this.random());
    robot.by.set(robot.kind, total);
  }

  tickRollout(rollout) {
    const wave = rollout.waves[rollout.wave];
    const members = this.fleet.filter((robot) => wave.robots.includes(robot.id) && robot.target === rollout.kind);
    if (rollout.kind.bad > 0.1 && members.some((r) => r.kind === rollout.kind && (r.by.get(r.kind)?.frames ?? 0) > 40)) return this.throwOut(rollout);
    if (!members.every((robot) => robot.phase === 'committed' || robot === this.fleet[6])) return;
    wave.bake_left_s = (wave.bake_left_s ?? wave.bake_s + 1) - 1;
    if (wave.bake_left_s > 0) return;
    wave.state = 'passed';
    this.tell('wave', '', `${rollout.name}: wave ${wave.name} passed`);
    if (++rollout.wave < rollout.waves.length) return this.startWave(rollout);
    rollout.wave--;
    Object.assign(rollout, { state: 'done', endedMs: this.nowMs });
    this.tell('rollout', '', `${rollout.name} done: every robot runs ${rollout.kind.version}`);
  }

  throwOut(rollout) {
    const wave = rollout.waves[rollout.wave];
    wave.state = 'failed';
    Object.assign(rollout, { state: 'rolling_back', backAt: this.second + 30, reason: 'Guard interventions 18.6 % of frames, limit 5.00 %: refuted at alpha 0.01 after 86 frames. The 2 robots that moved go back to 2.0.0.' });
    this.tell('gate', '', `${rollout.name}: max_intervention_share failed in wave ${wave.name}`);
    for (const robot of this.fleet.filter((r) => r.target === rollout.kind)) {
      robot.phase = 'rolled_back';
      this.phase(robot, 'rolled_back', 'probation failed: the guard stepped in on 19 % of frames');
      robot.kind = KINDS[1];
    }
  }

  tickBack(rollout) {
    const moved = this.fleet.filter((robot) => robot.target === rollout.kind);
    if (moved.length && this.second < rollout.backAt) return;
    for (const robot of moved) {
      robot.target = KINDS[1];
      this.phase(robot, 'committed', '');
    }
    Object.assign(rollout, { state: 'rolled_back', endedMs: this.nowMs });
    this.tell('rollout', '', `${rollout.name} rolled back: every robot runs 2.0.0`);
  }

  robots() {
    return this.fleet.map((robot) => {
      const total = robot.by.get(robot.kind);
      const quietMs = this.nowMs - robot.lastSeenMs;
      return {
        id: robot.id,
        labels: robot.labels,
        facets: { link: 'up', agent: quietMs <= 15000 ? 'ok' : 'late', inference: 'ok' },
        presence: quietMs <= 15000 ? 'live' : quietMs <= 30000 ? 'late' : 'offline',
        last_seen_ms: robot.lastSeenMs,
        release: ref(robot.kind),
        target: ref(robot.target),
        phase: robot.phase,
        phase_text: robot.text,
        frames: total?.frames ?? 0,
        results: total?.frames ?? 0,
        lost: 0,
        latency_p50_ms: total?.p50 ?? null,
        latency_p99_ms: total?.p99 ?? null,
        intervention_share: total ? total.bad / total.frames : null,
        accuracy_f1: total && robot.labels.dock === 'yes' ? robot.kind.f1 : null,
        revoked: false,
      };
    });
  }

  robotDetail(id) {
    const robot = this.fleet.find((candidate) => candidate.id === id);
    const telemetry = [...robot.by].map(([kind, t]) => ({
      release: ref(kind),
      ...{ frames: t.frames, latency_p50_ms: t.p50, latency_p99_ms: t.p99, interventions: { deadline: t.bad } },
      score: { frames: 0, f1: robot.labels.dock === 'yes' ? kind.f1 : null },
    }));
    return { ...this.robots().find((candidate) => candidate.id === id), reports: robot.reports.slice(0, 50), telemetry };
  }

  telemetry(kind) {
    const totals = this.fleet.map((robot) => robot.by.get(kind)).filter(Boolean);
    const sum = (field) => totals.reduce((a, t) => a + t[field], 0);
    const frames = sum('frames');
    return {
      robots: totals.length,
      frames,
      results: frames,
      lost: 0,
      latency_p50_ms: totals.length ? sum('p50') / totals.length : null,
      latency_p99_ms: totals.length ? Math.max(...totals.map((t) => t.p99)) : null,
      over_budget_share: totals.length ? (kind.p99 > 30 ? 0.113 : 0.0021) : null,
      interventions: { deadline: Math.round(sum('bad') * 0.7), range: sum('bad') - Math.round(sum('bad') * 0.7) },
      score: { frames: Math.floor(frames / 5), tp: 0, fp: 0, fn: 0, f1: totals.length ? kind.f1 : null },
    };
  }

  releases() {
    return KINDS.slice(0, this.plan.length).map((kind, index) => ({
      ...ref(kind),
      size_bytes: 812_000 + index * 96_000,
      signed_by: ['4b1f0c2d9e7a66d1'],
      created_ms: this.startMs + index * 1000,
      budgets: { latency_p99_ms: 30, deadline_ms: 50, memory_mib: 64 },
      telemetry: this.telemetry(kind),
    }));
  }

  gates(rollout) {
    const t = this.telemetry(rollout.kind);
    const share = t.frames ? (t.interventions.deadline + t.interventions.range) / t.frames : null;
    const verdict = (bad) => (bad ? 'fail' : t.frames > 200 ? 'pass' : 'waiting');
    return [
      { name: 'failures', value: 0, limit: 0, evidence: t.robots, verdict: verdict(false) },
      { name: 'over_budget_share', value: t.over_budget_share, limit: 0.05, evidence: t.frames, verdict: verdict(t.over_budget_share > 0.05) },
      { name: 'intervention_share', value: share, limit: 0.05, evidence: t.frames, verdict: verdict(share > 0.05) },
      { name: 'accuracy', value: t.score.f1, limit: 0.5, evidence: t.score.frames, verdict: verdict(t.score.f1 !== null && t.score.f1 < 0.45 && t.frames > 900) },
      { name: 'evidence', value: Math.min(...this.weakest(rollout)), limit: 50, evidence: t.frames, verdict: Math.min(...this.weakest(rollout)) < 50 ? 'waiting' : 'pass' },
    ];
  }

  weakest(rollout) {
    return this.fleet.filter((robot) => robot.target === rollout.kind).map((robot) => robot.by.get(rollout.kind)?.frames ?? 0);
  }

  alarms() {
    const open = this.reviews.filter((review) => review.verdict === 'open' && review.reason === 'alarm').length;
    return { open, unseen: open, late: open, per_operator_hour: 4.5 };
  }

  /** Six channels of a fall that is none. */
  series() {
    const numbers = Float32Array.from({ length: 600 }, (_, i) => Math.sin(i / 7) * (i % 100 > 60 ? 3 : 1));
    return Buffer.from(numbers.buffer);
  }

  accuracy() {
    const share = (value, low, high, evidence) => ({ value, low, high, evidence });
    const group = (site) => ({
      site,
      operating_hours: 40,
      alarms: { count: 30, open: 2, missed: 1, precision: share(0.8, 0.61, 0.92, 28), recall: share(0.96, 0.78, 0.997, 24), false_per_hour: share(0.14, 0.05, 0.31, 6) },
      frames: { audits: 50, open: 10, precision: share(0.95, 0.8, 0.99, 40), recall: share(null, null, null, 0) },
      unlabelled: { accuracy: 0.91, valid: site === 'north', because: site === 'north' ? '' : 'drift says that the model meets something new' },
    });
    return { groups: [null, 'north', 'south'].map(group) };
  }

  decisions(of) {
    const decision = of.get('robot')
      ? { who: 'guard', rule: 'deadline', subject: 'frame 1234', count: 3, because: 'the result came 61.2 ms after its frame; 60 ms are allowed', otherwise: 'at most 60.0 ms, and it would have passed' }
      : { who: 'rollout', rule: 'wave', subject: `rollout ${of.get('rollout')}, wave canary`, count: 1, because: 'every gate of wave canary holds' };
    return [{ id: 1, robot: of.get('robot') ?? '', release: ref(KINDS[0]), rollout: Number(of.get('rollout') ?? 0), who: decision.who, rule: decision.rule, time_ms: this.startMs, received_ms: this.startMs, decision }];
  }

  /** An hour in which two minutes are missing. */
  numbers(name) {
    const units = { 'muster.battery.charge': '1', 'muster.system.temperature.max': 'Cel', 'muster.drift.log_e': '1' };
    if (!units[name]) return [];
    const minute = Math.floor(this.startMs / 60000) - 60;
    const value = (i) => (name === 'muster.battery.charge' ? 0.9 - i / 200 : 40 + Math.sin(i / 9));
    const points = Array.from({ length: 60 }, (_, i) => [(minute + i) * 60000, value(i)]).filter((_, i) => i !== 30 && i !== 31);
    const attribute = name === 'muster.drift.log_e' ? { attribute: 'muster.signal', word: 'all' } : {};
    return [{ robot: 'r1', name, unit: units[name], kind: 'gauge', ...attribute, last_ms: points.at(-1)[0], last: points.at(-1)[1], points }];
  }

  incidents() {
    const [one, two] = [this.fleet[0], this.fleet.at(-1)];
    if (!one) return [];
    return [
      { id: 2, robot: one.id, name: '000002-x-3-safe_stop', cause: 'safe_stop', severity: 3, text: 'stop: auto -> safe_stop', who: 'ann', time_ms: this.startMs + 5000, bytes: 8400000 },
      { id: 1, robot: two.id, name: '000001-x-0-interventions', cause: 'interventions', severity: 0, text: '10 interventions in 1.4 s', who: '', time_ms: this.startMs, bytes: 5100000 },
    ];
  }

  rollouts() {
    return this.plan.map((rollout) => ({
      id: rollout.id,
      name: rollout.name,
      release: ref(rollout.kind),
      state: rollout.state,
      wave: rollout.wave,
      waves: rollout.waves.map(({ name, robots, state, bake_left_s }) => ({ name, robots, state, bake_left_s })),
      gates: this.gates(rollout),
      reason: rollout.reason,
      started_ms: rollout.startedMs,
      ended_ms: rollout.endedMs,
    }));
  }
}
