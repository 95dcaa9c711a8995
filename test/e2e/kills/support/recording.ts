/** Which points a job passes. They are recorded, so that a new await is covered without anybody's adding it. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../edge/points.ts";
import type { Market } from "./market.ts";
import type { Play } from "./plays.ts";

/** A job whose last point was passed is followed by silence. */
const SILENCE_MS = 100;
/** Begins and ends of a method that another part calls: points of the call itself stand beside each. */
const INNER = /^(Account|Scheduler|Relay)\.(?!webSocket).*: (begins|ends)$/;

export interface PassedPoint extends Fault {
  /** Whether only the first job of a process passes it. */
  readonly cold: boolean;
}

/** The points that a job passes, the first time and the last, in their order. */
export async function pointsOf(market: Market, play: Play): Promise<PassedPoint[]> {
  await market.restart();
  const job = async () => {
    const consumer = await market.consumer();
    return await passedBy(market, () => play.ask(market, consumer));
  };
  const first = await job();
  const later = new Set(await job());
  return firstAndLast(first).map((fault) => ({ ...fault, cold: !later.has(fault.point) }));
}

/** The points that are passed while something happens and until the network is quiet again. */
export async function passedBy(market: Market, work: () => Promise<unknown>): Promise<string[]> {
  const { server } = market;
  const before = server.life.passed.length;
  await server.record();
  await work();
  await market.quiet();
  for (let seen = -1; seen !== server.life.passed.length; ) {
    seen = server.life.passed.length;
    await sleep(SILENCE_MS);
  }
  return server.life.passed.slice(before);
}

export function firstAndLast(passed: readonly string[]): Fault[] {
  return [...new Set(passed)].flatMap((point) => {
    const times = passed.filter((other) => other === point).length;
    return [...new Set([1, times])].map((occurrence) => ({ point, occurrence }));
  });
}

/** The points that are not among others. */
export function unlike<T extends Fault>(points: readonly T[], others: readonly Fault[]): T[] {
  return points.filter(
    ({ point, occurrence }) => !others.some((other) => other.point === point && other.occurrence === occurrence),
  );
}

/** The points between the parts of the Worker, without those that stand beside them inside of a part. */
export function betweenParts<T extends Fault>(points: readonly T[]): T[] {
  return points.filter(({ point }) => !INNER.test(point));
}

/** The points from one to another, each for its first passing. */
export function fromTo<T extends Fault>(points: readonly T[], first: string, last: string): T[] {
  const [start, end] = [first, last].map((name) => points.findIndex(({ point }) => point === name)) as [number, number];
  if (start < 0 || end < start) throw new Error(`the job does not pass ${first} and then ${last}`);
  return points.slice(start, end + 1).filter(({ occurrence }) => occurrence === 1);
}
