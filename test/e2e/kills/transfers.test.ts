/** The Worker is killed at every point that a transfer passes: between its debit and its credit, and around them. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { cleanUp } from "../support/children.ts";
import { Market } from "./support/market.ts";
import { betweenParts } from "./support/recording.ts";
import { SWEEP_MS } from "./support/sweep.ts";
import { inAnyOrder, killTransfers, type TransferPoint, transferPoints } from "./support/transfer-sweep.ts";
import type { TransferPlay } from "./support/transfers.ts";

const LOST = "account: before Account.receive";
const CONFIRMATION_LOST = "account: after Account.receive";

let market: Market;
beforeAll(async () => {
  market = await Market.open({ daemons: 0 });
});
afterAll(async () => {
  await market?.server.close();
  await cleanUp();
});

interface Sweep {
  readonly what: string;
  readonly play: TransferPlay;
  readonly choose: (points: readonly TransferPoint[]) => readonly TransferPoint[];
  /** Points that there were when this was written, so that none is lost unnoticed. */
  readonly least: number;
}

/** What is passed when a transfer has to be brought a second time. */
const secondTime: Sweep["choose"] = (points) => points.filter(({ phase }) => phase === "alarm");

const SWEEPS: readonly Sweep[] = [
  { what: "a transfer of top-ups", play: { of: "topup", both: false }, choose: (points) => points, least: 20 },
  { what: "a transfer of received credits", play: { of: "received", both: false }, choose: betweenParts, least: 12 },
  {
    what: "a transfer that was lost on its way",
    play: { of: "topup", both: false, lost: LOST },
    choose: secondTime,
    least: 9,
  },
  {
    what: "a transfer whose confirmation was lost",
    play: { of: "topup", both: false, lost: CONFIRMATION_LOST },
    choose: secondTime,
    least: 8,
  },
  {
    what: "two transfers in opposite directions",
    play: { of: "topup", both: true },
    choose: (points) => inAnyOrder(betweenParts(points)),
    least: 16,
  },
];

it.for(SWEEPS)(
  "credits $what once, or debits nothing, wherever the Worker is killed",
  { timeout: SWEEP_MS },
  async ({ play, choose, least }, { annotate }) => {
    const kills = await killTransfers(market, play, choose(await transferPoints(market, play)));
    await annotate(`killed ${kills} times`);
    expect(kills).toBeGreaterThanOrEqual(least);
  },
);
