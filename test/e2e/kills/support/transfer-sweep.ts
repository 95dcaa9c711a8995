/** Ending the Worker at the points that a transfer passes, and holding both accounts to their rules afterwards. */

import { expect } from "vitest";
import { until } from "../../support/network.ts";
import type { Fault } from "../edge/points.ts";
import type { Market } from "./market.ts";
import { firstAndLast, passedBy } from "./recording.ts";
import { dying } from "./sweep.ts";
import { arrived, ask, checkPair, checkSums, openPair, type Pair, repeat, type TransferPlay } from "./transfers.ts";

/** Whoever is about to call the other account has written the debit. */
const DEBITED = "account: before Account.receive";
const ALARM_BEGINS = "Account.alarm: begins";
const ALARM_ENDS = "Account.alarm: ends";
/** An alarm costs a row to ask for, so it depends on what was asked for before whether it is set. */
const ALARM_SET = /: after [gs]etAlarm$/;

export interface TransferPoint extends Fault {
  /** Whether the transfer has left its account by then, and whether its alarm has rung. */
  readonly phase: "asked" | "debited" | "alarm";
}

/** The points that transfers pass, from the call to the end of their senders' alarms. */
export async function transferPoints(market: Market, play: TransferPlay): Promise<TransferPoint[]> {
  const pair = await openPair(market, play);
  const begun = market.server.life.passed.length;
  const alarms = () => market.server.life.passed.slice(begun).filter((point) => point === ALARM_ENDS).length;
  const passed = await passedBy(market, async () => {
    await ask(market, play, pair);
    await until(() => alarms() === pair.sendings.length, "the end of every sender's alarm");
  });
  expect(await checkPair(market, pair)).toBe(pair.sendings.length);
  const [debit, alarm] = [passed.indexOf(DEBITED), passed.indexOf(ALARM_BEGINS)];
  return firstAndLast(passed).map((fault) => {
    const places = passed.flatMap((point, place) => (point === fault.point ? [place] : []));
    const place = places[fault.occurrence - 1] ?? 0;
    return { ...fault, phase: place >= alarm ? "alarm" : place >= debit ? "debited" : "asked" };
  });
}

/** The points that are passed in whichever order two transfers come. */
export function inAnyOrder(points: readonly TransferPoint[]): TransferPoint[] {
  return points.filter(({ point }) => !ALARM_SET.test(point));
}

/** `KILLS=all npm test -- e2e test/e2e/kills` ends each point's kill in both ways; a check of a change takes them in turn. */
const BOTH_WAYS = process.env["KILLS"] === "all";

/**
 * Kills the Worker at each of some points: then its caller repeats the calls, or nobody ever does. At last the journal gets
 * all that it lacks. Gives how many kills that were.
 */
export async function killTransfers(
  market: Market,
  play: TransferPlay,
  points: readonly TransferPoint[],
): Promise<number> {
  const failures: string[] = [];
  let kills = 0;
  for (const [index, point] of points.entries()) {
    for (const finish of BOTH_WAYS ? [repeated, forgotten] : [index % 2 === 0 ? forgotten : repeated]) {
      kills += 1;
      try {
        const pair = await openPair(market, play);
        await market.server.arm({ point: point.point, occurrence: point.occurrence });
        await dying(market, ask(market, play, pair));
        await market.restart();
        await finish(market, pair, point);
      } catch (error) {
        failures.push(`${finish.name}, killed at "${point.point}", ${point.occurrence}: ${String(error)}`);
        await market.restart();
      }
    }
  }
  expect(failures).toEqual([]);
  await checkSums(market);
  return kills;
}

async function repeated(market: Market, pair: Pair): Promise<void> {
  await repeat(market, pair);
  expect(await checkPair(market, pair)).toBe(pair.sendings.length);
}

async function forgotten(market: Market, pair: Pair, { phase }: TransferPoint): Promise<void> {
  const [only, ...others] = pair.sendings;
  // Where two go at once it is open which of them have left.
  const isAlone = only !== undefined && others.length === 0;
  if (isAlone && phase !== "asked") await arrived(market, only);
  const carriedOut = await checkPair(market, pair);
  if (isAlone) expect(carriedOut).toBe(phase === "asked" ? 0 : 1);
}
