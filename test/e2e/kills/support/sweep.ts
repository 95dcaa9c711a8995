/** Ending the Worker at the points that a job passes, and holding the network to its rules after each restart. */

import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { HOLD_GRACE_MS, HOLD_SLA_MS } from "../../../../core/limits.ts";
import { GENESIS_PARAMETERS } from "../../../../core/parameters.ts";
import { type TestAccount, until } from "../../support/network.ts";
import type { Fault } from "../edge/points.ts";
import { checkBooks, checkEverything, checkLogged, checkSlots, endingsOf } from "./checks.ts";
import type { Market } from "./market.ts";
import type { Play } from "./plays.ts";
import type { PassedPoint } from "./recording.ts";

/** A sweep's own timeout: some forty kills at half a second each, on a machine that is busy with something else. */
export const SWEEP_MS = 240_000;
/** What follows after a job seems to be over takes less than this. */
const PATIENCE_MS = 5_000;
/** A hold lives so long (economics.md §6). */
export const HOLD_MS = GENESIS_PARAMETERS.queueLimitMs + HOLD_SLA_MS + HOLD_GRACE_MS;

/** One kill: leaves a dead Worker, and tells how the consumer's call ended. */
export type Kill = (consumer: TestAccount, point: PassedPoint) => ReturnType<Play["ask"]>;

/** Kills the Worker while a job is played, at a point that the job passes. */
export function duringJob(market: Market, play: Play): Kill {
  return async (consumer, { cold, ...fault }) => {
    if (cold) await market.restart();
    return await cut(market, play, consumer, fault);
  };
}

/** Kills the Worker while a job is played, and again at a point that its recovery passes. */
export function duringRecovery(market: Market, play: Play, first: Fault): Kill {
  return async (consumer, { cold: _, ...fault }) => {
    const asked = await cut(market, play, consumer, first);
    await market.server.restart();
    await market.server.arm(fault);
    await dying(
      market,
      market.connect().then(() => market.quiet()),
    );
    return asked;
  };
}

/** Plays a job until the Worker reaches a point and dies. */
export async function cut(market: Market, play: Play, consumer: TestAccount, fault: Fault): ReturnType<Play["ask"]> {
  await market.server.arm(fault);
  const asked = play.ask(market, consumer);
  await dying(
    market,
    asked.then(() => market.quiet()),
  );
  return await asked;
}

/** Waits for the end of the Worker. Fails when the work is done without it. */
export async function dying({ server }: Market, work: Promise<unknown>): Promise<void> {
  // What the end of the Worker does to the work is not looked at here.
  const over = work.catch(() => {}).then(() => sleep(PATIENCE_MS, undefined, { ref: false }));
  await Promise.race([server.life.ended, over]);
  if (!server.life.isOver) throw new Error("the work was over before it passed the point");
  await server.life.ended;
}

/**
 * Kills the Worker at each of some points, and checks what is left each time; then lets time end what nobody else can. Gives
 * how many holds that were.
 */
export async function killAtEach(
  market: Market,
  play: Play,
  points: readonly PassedPoint[],
  kill: Kill = duringJob(market, play),
): Promise<number> {
  expect(points.length).toBeGreaterThan(0);
  const failures: string[] = [];
  const orphans: TestAccount[] = [];
  for (const point of points) {
    try {
      const consumer = await market.consumer();
      const { complete } = await kill(consumer, point);
      await recover(market, consumer, play.unheard === point.point);
      if (complete) expect(await checkBooks(market, consumer)).toHaveLength(1);
      await play.next(market, consumer);
      await checkSlots(market);
      if ((await market.network.balance(consumer)).held > 0) orphans.push(consumer);
    } catch (error) {
      failures.push(`killed at "${point.point}", occurrence ${point.occurrence}: ${String(error)}`);
      await market.restart();
    }
  }
  expect(failures).toEqual([]);
  await expire(market, play, orphans);
  return orphans.length;
}

/**
 * Starts the Worker again. A daemon that still has something to say of the job says it, and with that the job's hold ends;
 * every other hold is left to its own time, and so is that of an attempt which no daemon has heard of.
 */
async function recover(market: Market, consumer: TestAccount, isUnheard: boolean): Promise<void> {
  const isNamed = market.isRemembered && !isUnheard;
  await market.restart();
  await market.quiet();
  const isHeld = async () => (await market.network.balance(consumer)).held > 0;
  if (isNamed) await until(async () => !(await isHeld()), "the end of the hold");
  await checkLogged(market, await checkBooks(market, consumer));
}

/** Holds that nobody knows of any more end by their own time, and then the consumer is served as if nothing had been. */
async function expire(market: Market, play: Play, orphans: readonly TestAccount[]): Promise<void> {
  await market.restart({ moveClockMs: HOLD_MS });
  for (const orphan of orphans) {
    expect(await market.network.balance(orphan)).toMatchObject({ held: 0 });
    expect(await endingsOf(market, orphan)).toContain("hold_expired");
    await play.next(market, orphan);
  }
  await checkEverything(market);
}
