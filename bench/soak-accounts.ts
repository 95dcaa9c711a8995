/**
 * `npm run soak:accounts`: the model of accounts that a check plays five thousand times, a million times, on all cores
 * (docs/performance.md, Soak).
 */

import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { Child } from "./processes/calls.ts";
import { batchesOf, type Played } from "./soak-accounts/batches.ts";
import { ACCOUNTS_SOAK_USAGE, type AccountsSoakOptions, readAccountsSoakOptions } from "./soak-accounts/options.ts";
import {
  type AccountsSoakReport,
  accountsProgress,
  NOTHING,
  renderAccountsSoak,
  withBatch,
} from "./soak-accounts/report.ts";

const BETWEEN_LINES_MS = 10_000;
/** Whoever has seen so many failures has enough to mend first. */
const MOST_FAILURES = 5;

async function soak(options: AccountsSoakOptions): Promise<AccountsSoakReport> {
  const batches = batchesOf(options.seed, options.runs);
  const start = performance.now();
  const secondsSince = () => (performance.now() - start) / 1_000;
  let sums = NOTHING;
  let shownAt = start;
  // Who has no more time is told what was played until then.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => (batches.length = 0));
  const work = async (): Promise<void> => {
    const player = new Child("soak-accounts/player.ts");
    try {
      for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
        const played = await player.call<Played>("play", batch);
        sums = withBatch(sums, played);
        if (sums.failures.length >= MOST_FAILURES) batches.length = 0;
        if (performance.now() < shownAt + BETWEEN_LINES_MS) continue;
        shownAt = performance.now();
        process.stderr.write(`  ${accountsProgress(sums, options.runs, secondsSince())}\n`);
      }
    } finally {
      await player.stop();
    }
  };
  await Promise.all(Array.from({ length: options.workers }, work));
  return { date: new Date().toISOString().slice(0, 10), options, seconds: secondsSince(), ...sums };
}

async function main(): Promise<void> {
  let options: AccountsSoakOptions;
  try {
    options = readAccountsSoakOptions(process.argv.slice(2), randomInt(1_000_000), availableParallelism());
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${ACCOUNTS_SOAK_USAGE}`);
    process.exitCode = 1;
    return;
  }
  process.stderr.write(`  seed ${options.seed}\n`);
  const report = await soak(options);
  console.log(options.json ? JSON.stringify(report, null, 2) : renderAccountsSoak(report));
  if (report.failures.length > 0) process.exitCode = 1;
}

await main();
