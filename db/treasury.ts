/** What the network owes and what it has seen arrive, as D1 tells (core/allotment/free-treasury.ts). */

import type { D1Database } from "@cloudflare/workers-types";
import type { TreasuryFigures } from "../core/allotment/free-treasury.ts";
import { NETWORK_PAYEE } from "../core/receipt/rollup.ts";
import { allotmentTotal } from "./journal.ts";

type OwedFigures = Omit<TreasuryFigures, "onChain">;

const ACCOUNTED = "SELECT coalesce(sum(received), 0) - coalesce(sum(sent), 0) AS amount FROM treasury_transactions";
const LOTS = `SELECT coalesce((SELECT amount FROM journal_totals WHERE name = 'lots_usdc'), 0)
  - coalesce((SELECT sum(nano_usd) FROM rollups WHERE side = 'charge' AND backing = 'usdc'), 0) AS amount`;
const UNJOURNALED = `SELECT coalesce(sum(d.lot), 0) AS amount FROM deposits AS d WHERE d.state = 'credited'
  AND NOT EXISTS (SELECT 1 FROM journal AS j WHERE j.account = d.account AND j.seq = d.seq)`;
// A lot is worth what was paid for it, so it does not matter which of the two is counted here.
const SUSPENSE = `SELECT coalesce(sum(micro_usdc), 0) * 1000 AS amount FROM deposits
  WHERE state IN ('seen', 'suspense', 'resolving')`;
const PAYABLES = `SELECT coalesce(sum(nano_usd), 0) AS amount FROM rollups
  WHERE side = 'share' AND backing = 'usdc' AND payee <> ?1`;
const PROMISED = `SELECT coalesce((SELECT obligation FROM daily_epochs WHERE epoch = ?1), 0)
  - coalesce((SELECT amount FROM journal_totals WHERE name = ?2), 0) AS amount`;

/** The sums of one moment; `epoch` is the one that runs. Reads every rollup and every deposit. */
export async function readOwed(db: D1Database, epoch: number): Promise<OwedFigures> {
  const statements = {
    accounted: db.prepare(asText(ACCOUNTED)),
    lots: db.prepare(asText(LOTS)),
    unjournaled: db.prepare(asText(UNJOURNALED)),
    suspense: db.prepare(asText(SUSPENSE)),
    payables: db.prepare(asText(PAYABLES)).bind(NETWORK_PAYEE),
    promised: db.prepare(asText(PROMISED)).bind(epoch, allotmentTotal(epoch)),
  } satisfies Record<keyof OwedFigures, unknown>;
  const names = Object.keys(statements) as (keyof OwedFigures)[];
  const found = await db.batch<{ amount: string }>(names.map((name) => statements[name]));
  const amounts = names.map((name, index) => [name, BigInt(found[index]?.results[0]?.amount ?? 0)]);
  return Object.fromEntries(amounts) as Record<keyof OwedFigures, bigint>;
}

/** Sums of all may pass what a double holds exactly, so they come as text. */
const asText = (query: string): string => `SELECT CAST(amount AS TEXT) AS amount FROM (${query})`;
