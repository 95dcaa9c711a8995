/** Days of a network in D1: what its log charged, who staked what, and the rows that follow. */

import { env } from "cloudflare:workers";
import type { LotKind } from "../../../core/account/lots.ts";
import type { DailyRow } from "../../../core/allotment/daily-row.ts";
import { epochStart } from "../../../core/allotment/epochs.ts";
import type { AccountId } from "../../../core/ids.ts";
import { type MicroUsdc, stakeUnits } from "../../../core/units.ts";
import { putStakes } from "../../../db/epochs.ts";
import { closeDay, type DayClosed } from "../../../workers/cron/close-day.ts";
import type { FreeTreasury } from "../../../workers/cron/free-treasury.ts";
import { idOf, receiptOf } from "../../support/receipts.ts";
import { deliver, pack } from "../log/support.ts";

/** The epoch whose row the tests make. */
export const EPOCH = Math.floor(Date.UTC(2026, 10, 25) / 86_400_000);
const MINUTE = 60_000;

/** A time before an epoch begins. */
export const before = (epoch: number, minutes: number) => epochStart(epoch) - minutes * MINUTE;

export const treasuryOf = (microUsdc: number | null): FreeTreasury => ({
  read: () => Promise.resolve(microUsdc as MicroUsdc | null),
});
export const RICH = treasuryOf(1_000_000_000_000);

/** A whole token in the token's own unit; a thousand of them are the minimum stake. */
export const TOKEN = 1_000_000_000n;

let index = 0;

/** One job of 80,000 nanoUSD on a lot of a kind, appended at a time: 4,000 of it are the network's. */
export async function charge(kind: LotKind, at: number): Promise<void> {
  const lane = kind === "allotment" ? "included" : kind === "package" ? "dedicated" : "public";
  const held = [{ lot: kind, kind, backing: "usdc", amount: 80_000 } as const];
  const receipt = receiptOf({ index: index++, usage: { prompt: 0, completion: 1_000 }, held, facts: { lane } });
  await deliver([pack([receipt])], { now: at });
}

/** Stakes of accounts by their names, in whole tokens, as a whole snapshot. */
export function stake(epoch: number, tokens: Readonly<Record<string, number | bigint>>, isLast = true) {
  const rows = Object.entries(tokens).map(([name, amount]) => ({
    account: idOf<AccountId>(name),
    stake: stakeUnits(BigInt(amount) * TOKEN),
  }));
  return putStakes(env.DB, epoch, rows, isLast);
}

/** Makes the row of an epoch. */
export async function close(epoch = EPOCH, treasury = RICH, minutes = 30): Promise<DayClosed> {
  return await closeDay(env, before(epoch, minutes), treasury);
}

export async function madeRow(epoch = EPOCH, treasury = RICH): Promise<DailyRow> {
  const closed = await close(epoch, treasury);
  if (closed.type !== "made") throw new Error(`no row was made: ${closed.type}`);
  return closed.row;
}
