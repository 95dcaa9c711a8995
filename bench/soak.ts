/**
 * `npm run soak`: many paced streams for a long time, consumers who leave, daemons that break, and then the question
 * whether everything adds up and memory stays where it was (docs/performance.md, Soak).
 */

import { randomBytes, randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { relayOf } from "../protocol/internal/names.ts";
import { MockIdentity } from "./engine/identity.ts";
import { Child } from "./processes/calls.ts";
import { bundleWorker } from "./servers/bundle.ts";
import { type Gift, Network } from "./servers/network.ts";
import { type Books, readBooks } from "./soak/books.ts";
import { checksOf } from "./soak/checks.ts";
import type { ClientsCall, SeenJob } from "./soak/clients.ts";
import type { DaemonsCall } from "./soak/daemons.ts";
import { readLog } from "./soak/log.ts";
import { readSoakOptions, SOAK_USAGE, type SoakOptions } from "./soak/options.ts";
import { progressLine, renderSoak, type SoakReport } from "./soak/report.ts";
import { type Sample, type Soaked, takeSample } from "./soak/sample.ts";
import { warmUp } from "./soak/warm-up.ts";

const TMPFS = "/dev/shm";
const ACCOUNTS = 8;
/** As many more pay for the warm-up, so that the others begin with all of their gifts. */
const WARM_ACCOUNTS = 8;
/** The bonus lasts for some minutes, so that receipts are paid from both kinds of lots, and some from two at once. */
const GIFTS: readonly Gift[] = [
  { id: "first", kind: "bonus", amount: "10000" },
  { id: "rest", kind: "topup", amount: "1000" },
];
/** With one daemon away the others have room for nearly all streams, so that some wait. */
const SPARE_SLOTS = 1.15;
/** The relays of wrangler.toml, and the region they are in. */
const [REGION, RELAYS] = ["local", 2];
const WARM_UP_SECONDS = 20;
const MOST_SAMPLES = 120;
const LEAST_BETWEEN_SAMPLES_MS = 3_000;
/** A stream may be paused for a minute, and its daemon then has seconds for its claim: nothing is open for longer. */
const DRAIN_MS = 150_000;

const progress = (text: string): void => void process.stderr.write(`  ${text}\n`);

async function soak(options: SoakOptions, folder: string): Promise<SoakReport> {
  progress(`bundling and starting; seed ${options.seed}`);
  const script = await bundleWorker(folder);
  const worker = { script, folder: join(folder, "network"), inspected: true };
  const network = await Network.open(worker, { accounts: ACCOUNTS + WARM_ACCOUNTS, gifts: GIFTS });
  const [clients, daemons] = [new Child("soak/clients.ts"), new Child("soak/daemons.ts")];
  const soaked = { network, clients, daemons, inspector: await network.server.call<string>("inspector") };
  try {
    await connectDaemons(soaked, options);
    if (options.warmUp > 0) {
      progress(`${options.warmUp} short jobs at full speed`);
      await warmUp(network.origin, network.consumers.slice(ACCOUNTS), options.warmUp);
    }
    progress(`warming up for ${WARM_UP_SECONDS} s`);
    await startClients(soaked, options, options.seed + 1);
    await pause(WARM_UP_SECONDS * 1_000);
    const warm = await clients.call<SeenJob[]>("finish");
    const before = await untilQuiet(soaked, 0);

    const start = performance.now();
    const secondsSince = () => (performance.now() - start) / 1_000;
    await startClients(soaked, options, options.seed);
    await daemons.call("trouble", options.seed);
    const samples = await sampleFor(soaked, options, secondsSince);
    const loadSeconds = secondsSince();
    progress("draining");
    await daemons.call("calm");
    const seen = [...warm, ...(await clients.call<SeenJob[]>("finish"))];
    const after = await untilQuiet(soaked, secondsSince());
    const drainSeconds = secondsSince() - loadSeconds;

    progress("reading books and log");
    const books: Books[] = [];
    for (const consumer of network.consumers) books.push(await readBooks(network, consumer));
    const warmed = books.splice(ACCOUNTS);
    const log = await readLog(network.server);
    const outcome = { before, samples, after, books, warmed, log, seen };
    return {
      date: new Date().toISOString().slice(0, 10),
      options,
      loadSeconds,
      drainSeconds,
      outcomes: outcomesOf(books),
      before,
      samples,
      after,
      checks: checksOf(outcome),
    };
  } finally {
    await Promise.all([clients, daemons, network.server].map((child) => child.stop()));
  }
}

/** Daemons of all relays in turn: a daemon's relay follows from its key, so keys are drawn until they fit. */
async function connectDaemons({ network, daemons }: Soaked, options: SoakOptions): Promise<void> {
  const seeds: string[] = [];
  while (seeds.length < options.daemons) {
    const seed = randomBytes(32).toString("hex");
    const { id } = new MockIdentity(seed);
    if (relayOf(REGION, id, RELAYS) !== `${REGION}/${seeds.length % RELAYS}`) continue;
    await network.enrol(id);
    seeds.push(seed);
  }
  const slots = Math.ceil((SPARE_SLOTS * options.streams) / options.daemons);
  await daemons.call("connect", { origin: network.origin, seeds, slots } satisfies DaemonsCall);
  await network.until(({ models }) => models.some((model) => model.daemons === options.daemons), 10_000);
}

async function startClients({ network, clients }: Soaked, options: SoakOptions, seed: number): Promise<void> {
  const call: ClientsCall = {
    url: `${network.origin}/v1/chat/completions`,
    apiKeys: network.consumers.slice(0, ACCOUNTS).map(({ apiKey }) => apiKey),
    streams: options.streams,
    most: options.jobs,
    seed,
  };
  await clients.call("start", call);
}

/** Looks at everything again and again until the time is over, or as many jobs as may were begun. */
async function sampleFor(soaked: Soaked, options: SoakOptions, secondsSince: () => number): Promise<Sample[]> {
  const samples: Sample[] = [];
  const seconds = options.minutes * 60;
  const everyMs = Math.max(LEAST_BETWEEN_SAMPLES_MS, (seconds * 1_000) / MOST_SAMPLES);
  while (secondsSince() < seconds && (samples.at(-1)?.clients.begun ?? 0) < options.jobs) {
    await pause(Math.min(everyMs, Math.max(0, (seconds - secondsSince()) * 1_000)));
    const sample = await takeSample(soaked, secondsSince());
    samples.push(sample);
    progress(progressLine(sample));
  }
  return samples;
}

/** Waits until nothing is open and the log has everything; what is still open after the longest time is a fault. */
async function untilQuiet(soaked: Soaked, at: number): Promise<Sample> {
  const deadline = performance.now() + DRAIN_MS;
  for (let before: Sample | null = null; ; ) {
    const sample = await takeSample(soaked, at);
    const { openHolds, waiting, free, slots, supply, logged } = sample;
    const isOpen = openHolds + waiting + supply.unanswered + supply.running > 0 || free !== slots;
    // A receipt waits in its relay and in the queue for a second and a half at most.
    if ((!isOpen && before?.logged === logged) || performance.now() > deadline) return sample;
    before = sample;
    await pause(LEAST_BETWEEN_SAMPLES_MS);
  }
}

function outcomesOf(books: readonly Books[]): Record<string, number> {
  const outcomes: Record<string, number> = {};
  for (const { receipts } of books) {
    for (const { outcome } of receipts.values()) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return outcomes;
}

async function main(): Promise<void> {
  let options: SoakOptions;
  try {
    options = readSoakOptions(process.argv.slice(2), randomInt(1_000_000));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${SOAK_USAGE}`);
    process.exitCode = 1;
    return;
  }
  const folder = await mkdtemp(join(existsSync(TMPFS) ? TMPFS : tmpdir(), "tollmill-soak-"));
  try {
    const report = await soak(options, folder);
    console.log(options.json ? JSON.stringify(report, null, 2) : renderSoak(report));
    if (report.checks.some(({ ok }) => !ok)) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
