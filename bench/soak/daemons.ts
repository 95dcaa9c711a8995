/** The daemons' process: several of them, over all relays, each of which now and then breaks, dies or is restarted. */

import { setTimeout as pause } from "node:timers/promises";
import { seeded } from "../../core/random.ts";
import { type DaemonCounts, MockDaemon } from "../engine/daemon.ts";
import { answerCalls } from "../processes/calls.ts";
import { MODEL } from "../servers/network.ts";
import { between, pick } from "./random.ts";

export interface DaemonsCall {
  readonly origin: string;
  /** 64 hex digits for each daemon. */
  readonly seeds: readonly string[];
  readonly slots: number;
}

/** Ways to go away: the connection breaks, the process is killed, an operator stops it. */
export const RESTARTS = ["cut", "killed", "drained"] as const;
export type Restart = (typeof RESTARTS)[number];

export type DaemonTotals = Omit<DaemonCounts, "running" | "unanswered"> & {
  readonly connected: number;
  readonly running: number;
  readonly unanswered: number;
  readonly restarts: Readonly<Record<Restart, number>>;
};

/** Time between two restarts, and how long a daemon stays away, in milliseconds. */
const REST_MS = [4_000, 16_000] as const;
const AWAY_MS = [100, 4_000] as const;
/** So few are away at once that the others have room for most streams. */
const MOST_AWAY = 2;
const BEAT_MS = 20_000;
const RETRY_MS = 1_000;

let call: DaemonsCall = { origin: "", seeds: [], slots: 0 };
let daemons: MockDaemon[] = [];
let troubled: Promise<void> = Promise.resolve();
const mood = { calm: true };
const restarts: Record<Restart, number> = { cut: 0, killed: 0, drained: 0 };
const undrained: string[] = [];
/** Daemons that are away on purpose. */
const away = new Set<MockDaemon>();

async function connect(given: DaemonsCall): Promise<void> {
  call = given;
  daemons = given.seeds.map((seed) => new MockDaemon(seed));
  await Promise.all(daemons.map(join));
  setInterval(() => {
    for (const daemon of daemons) daemon.beat();
  }, BEAT_MS);
  // A daemon that was sent away comes back like a real one; its complaint is counted.
  setInterval(() => {
    for (const daemon of daemons) if (!daemon.isConnected && !away.has(daemon)) void comeBack(daemon);
  }, RETRY_MS);
}

function join(daemon: MockDaemon): Promise<void> {
  return daemon.connect(call.origin, MODEL, call.slots);
}

async function comeBack(daemon: MockDaemon): Promise<void> {
  away.add(daemon);
  while (!daemon.isConnected) await join(daemon).catch(() => pause(RETRY_MS));
  away.delete(daemon);
}

/** Restarts daemons until it is told to be calm, and then waits until all are back. */
async function trouble(seed: number): Promise<void> {
  const random = seeded(seed);
  const underWay = new Set<Promise<void>>();
  mood.calm = false;
  while (!mood.calm) {
    await pause(between(random, ...REST_MS));
    const daemon = pick(random, daemons);
    const kind = pick(random, RESTARTS);
    const awayMs = between(random, ...AWAY_MS);
    if (mood.calm || away.has(daemon) || away.size >= MOST_AWAY) continue;
    const restarted = restart(daemon, kind, awayMs).finally(() => underWay.delete(restarted));
    underWay.add(restarted);
  }
  await Promise.all(underWay);
}

async function restart(daemon: MockDaemon, kind: Restart, awayMs: number): Promise<void> {
  away.add(daemon);
  restarts[kind] += 1;
  if (kind === "cut") daemon.cut();
  else if (kind === "killed") daemon.die();
  else if (!(await daemon.drain())) undrained.push("a daemon that drained was not done in time");
  await pause(awayMs);
  await comeBack(daemon);
}

function counts(): DaemonTotals {
  const all = daemons.map((daemon) => daemon.counts());
  const total = (name: "running" | "unanswered" | "settled" | "lost" | "broughtAgain" | "pauses") =>
    all.reduce((sum, each) => sum + each[name], 0);
  const refused: Record<string, number> = {};
  for (const each of all) {
    for (const [reason, times] of Object.entries(each.refused)) refused[reason] = (refused[reason] ?? 0) + times;
  }
  return {
    connected: daemons.filter((daemon) => daemon.isConnected).length,
    running: total("running"),
    unanswered: total("unanswered"),
    settled: total("settled"),
    refused,
    lost: total("lost"),
    broughtAgain: total("broughtAgain"),
    pauses: total("pauses"),
    complaints: [...undrained, ...all.flatMap((each) => each.complaints)].slice(0, 20),
    restarts,
  };
}

answerCalls({
  connect,
  trouble: (seed: number) => {
    troubled = trouble(seed);
  },
  calm: async () => {
    mood.calm = true;
    await troubled;
  },
  counts,
});
