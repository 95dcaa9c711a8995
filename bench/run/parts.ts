/** Parts that are measured by themselves: one relay, the receipt log, signatures. */

import { setTimeout as pause } from "node:timers/promises";
import { LIMITS } from "../../core/limits.ts";
import { receiptOf, receiptsOf } from "../../test/support/receipts.ts";
import { percentile } from "../measure/statistics.ts";
import { cpuMicros, treeOf } from "../processes/usage.ts";
import type { Network } from "../servers/network.ts";
import { runOnce } from "./rounds.ts";
import { RELAY } from "./scenarios.ts";
import type { Systems } from "./systems.ts";

export interface RelayResult {
  readonly streams: number;
  readonly framesPerSecond: number;
  readonly wantedFramesPerSecond: number;
  /** Of one core, of the serving process tree. */
  readonly cpuShare: number | null;
  /** How much longer than planned the slowest percent of streams took, in milliseconds. */
  readonly lateMs: number;
  readonly errors: number;
}

/** A hundred paced streams through one relay. */
export async function measureRelay(systems: Systems, seconds: number): Promise<RelayResult> {
  const { plan, clients } = RELAY;
  const result = await runOnce(systems, RELAY, seconds);
  const frames = plan.tokens / plan.piece;
  return {
    streams: clients,
    framesPerSecond: (result.jobs * frames) / result.seconds,
    wantedFramesPerSecond: (clients * 1_000) / plan.every,
    cpuShare: result.cpuMicros === null ? null : result.cpuMicros / 1e6 / result.seconds,
    lateMs: percentile(result.totalMs, 0.99) - (frames - 1) * plan.every,
    errors: result.errors,
  };
}

export interface LogResult {
  readonly receipts: number;
  /** From the first message to the last row in D1. */
  readonly perSecond: number;
  /** In the time that the consumer itself took. */
  readonly consumerPerSecond: number;
  readonly cpuMicrosEach: number | null;
}

/** A whole batch of the queue, in messages: one that is not full waits for more, and it is not waiting that is measured. */
const BATCH = 100;
const BATCHES = 2;

/** Sends receipts to the queue, packed as relays pack them, and waits until the log has them; a first batch warms up. */
export async function measureLog(network: Network): Promise<LogResult> {
  const seed = network.seeds.network;
  const inMessage = Math.floor(LIMITS.queueMessageBytes / (JSON.stringify(receiptOf({ seed })).length + 64));
  const messages: string[] = [];
  while (messages.length < BATCH + BATCHES * BATCH) {
    const receipts = receiptsOf(inMessage, { seed, index: messages.length * inMessage });
    messages.push(JSON.stringify({ v: 1, receipts }));
    // Signing takes seconds; meanwhile connections that were closed must be noticed.
    await pause(0);
  }
  const logged = async (sent: readonly string[]): Promise<void> => {
    const before = (await network.status()).log.size;
    for (const body of sent) {
      const response = await fetch(`${network.origin}/bench/log`, { method: "POST", body });
      if (!response.ok) throw new Error(`the queue took no message: ${await response.text()}`);
    }
    await network.until(({ log }) => log.size >= before + sent.length * inMessage, 120_000);
  };
  await logged(messages.slice(0, BATCH));
  await pause(SETTLE_MS);
  await fetch(`${network.origin}/bench/begin`);
  const tree = treeOf(network.server.pid);
  const [cpu, start] = [cpuMicros(tree), performance.now()];
  await logged(messages.slice(BATCH));
  const [seconds, cpuEnd] = [(performance.now() - start) / 1_000, cpuMicros(tree)];
  await pause(SETTLE_MS);
  const counts = (await (await fetch(`${network.origin}/bench/counts`)).json()) as Record<string, number>;
  const receipts = BATCHES * BATCH * inMessage;
  return {
    receipts,
    perSecond: receipts / seconds,
    consumerPerSecond: receipts / ((counts["queue ms"] ?? Number.NaN) / 1_000),
    cpuMicrosEach: cpu === null || cpuEnd === null ? null : (cpuEnd - cpu) / receipts,
  };
}

/** A batch is counted when its consumer returns, a moment after its rows are there. */
const SETTLE_MS = 250;

export interface SignatureResult {
  readonly signMicros: number;
  readonly verifyMicros: number;
}

const TIMES = 10_000;

/** CPU time of one Ed25519 signature and one verification in the runtime, on a text of a receipt's size. */
export async function measureSignatures(network: Network): Promise<SignatureResult> {
  const micros = async (operation: "sign" | "verify"): Promise<number> => {
    const tree = treeOf(network.server.pid);
    const [cpu, start] = [cpuMicros(tree), performance.now()];
    const body = JSON.stringify({ operation, times: TIMES });
    await (await fetch(`${network.origin}/bench/signatures`, { method: "POST", body })).text();
    const cpuEnd = cpuMicros(tree);
    return (cpu === null || cpuEnd === null ? (performance.now() - start) * 1_000 : cpuEnd - cpu) / TIMES;
  };
  return { signMicros: await micros("sign"), verifyMicros: await micros("verify") };
}
