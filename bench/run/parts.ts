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

/** Two whole batches of the queue: one that is not full waits for more, and it is not waiting that is measured. */
const MESSAGES = 2 * 100;

/** Sends receipts to the queue, packed as relays pack them, and waits until the log has them. */
export async function measureLog(network: Network): Promise<LogResult> {
  const seed = network.seeds.network;
  const inMessage = Math.floor(LIMITS.queueMessageBytes / (JSON.stringify(receiptOf({ seed })).length + 64));
  const total = MESSAGES * inMessage;
  const messages: string[] = [];
  while (messages.length < MESSAGES) {
    const receipts = receiptsOf(inMessage, { seed, index: messages.length * inMessage });
    messages.push(JSON.stringify({ v: 1, receipts }));
    // Signing takes seconds; meanwhile connections that were closed must be noticed.
    await pause(0);
  }
  const before = (await network.status()).log.size;
  await fetch(`${network.origin}/bench/begin`);
  const tree = treeOf(network.server.pid);
  const [cpu, start] = [cpuMicros(tree), performance.now()];
  for (const body of messages) {
    const response = await fetch(`${network.origin}/bench/log`, { method: "POST", body });
    if (!response.ok) throw new Error(`the queue took no message: ${await response.text()}`);
  }
  await network.until(({ log }) => log.size >= before + total, 120_000);
  const [seconds, cpuEnd] = [(performance.now() - start) / 1_000, cpuMicros(tree)];
  // The consumer's last batch is counted when it returns, a moment after its rows are there.
  await pause(250);
  const counts = (await (await fetch(`${network.origin}/bench/counts`)).json()) as Record<string, number>;
  return {
    receipts: total,
    perSecond: total / seconds,
    consumerPerSecond: total / ((counts["queue ms"] ?? Number.NaN) / 1_000),
    cpuMicrosEach: cpu === null || cpuEnd === null ? null : (cpuEnd - cpu) / total,
  };
}

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
