/**
 * Sums of D1 that must be zero. They are added up in SQLite's 64 bits and come as text, since what fits an account's bound
 * may pass a double's in the sum of all.
 */

import type { D1Database } from "@cloudflare/workers-types";
import { JOURNAL_SUMS, type JournalRow, type JournalSum } from "./journal.ts";

/** Two sides that must be the same. */
export interface Sides {
  readonly name: "shares" | "journal" | "totals" | "deposits";
  /** The lane or the column that they are of. */
  readonly of: string;
  readonly unit: "nano_usd" | "millicredits";
  readonly left: string;
  readonly right: string;
}

const SHARES = ["nano_usd", "millicredits"].map(
  (unit) => `SELECT 'shares' AS name, lane AS "of", '${unit}' AS unit,
    CAST(sum(iif(side = 'charge', ${unit}, 0)) AS TEXT) AS "left",
    CAST(sum(iif(side = 'share', ${unit}, 0)) AS TEXT) AS "right"
    FROM rollups WHERE backing = '${unit === "nano_usd" ? "usdc" : "none"}' GROUP BY lane`,
);
const unitOf = (column: JournalSum): string => (JOURNAL_SUMS[column] === "usdc" ? "nano_usd" : "millicredits");
const COLUMNS = Object.keys(JOURNAL_SUMS) as JournalSum[];
const ZERO = (["usdc", "none"] as const).map((backing) => {
  const [lots, ...others] = COLUMNS.filter((column) => JOURNAL_SUMS[column] === backing);
  return `SELECT 'journal' AS name, '${lots}' AS "of", '${backing === "usdc" ? "nano_usd" : "millicredits"}' AS unit,
    CAST(coalesce(sum(${lots}), 0) AS TEXT) AS "left",
    CAST(coalesce(-sum(${others.join(" + ")}), 0) AS TEXT) AS "right" FROM journal`;
});
const TOTALS = COLUMNS.map(
  (column) => `SELECT 'totals' AS name, '${column}' AS "of", '${unitOf(column)}' AS unit,
    CAST(coalesce((SELECT amount FROM journal_totals WHERE name = '${column}'), 0) AS TEXT) AS "left",
    CAST(coalesce(sum(${column}), 0) AS TEXT) AS "right" FROM journal`,
);

/** What the treasury's token account received on the chain is what was credited, is about to be, or waits for operators. */
const DEPOSITS = `SELECT 'deposits' AS name, 'received' AS "of", 'nano_usd' AS unit,
  CAST(coalesce((SELECT sum(received) FROM treasury_transactions), 0) * 1000 AS TEXT) AS "left",
  CAST(coalesce((SELECT sum(micro_usdc) FROM deposits), 0) * 1000 AS TEXT) AS "right"`;
/** And a lot is worth what was paid for it. */
const LOTS = `SELECT 'deposits' AS name, 'credited' AS "of", 'nano_usd' AS unit,
  CAST(coalesce(sum(micro_usdc), 0) * 1000 AS TEXT) AS "left", CAST(coalesce(sum(lot), 0) AS TEXT) AS "right"
  FROM deposits WHERE state = 'credited'`;

/** What waits for operators, as text: nanoUSD. */
export async function inSuspense(db: D1Database): Promise<string> {
  const found = await db
    .prepare(
      `SELECT CAST(coalesce(sum(micro_usdc), 0) * 1000 AS TEXT) AS amount FROM deposits
       WHERE state IN ('suspense', 'resolving')`,
    )
    .first<{ amount: string }>();
  return found?.amount ?? "0";
}

/**
 * Σ charges and Σ shares of each lane and backing, both sides of the journal, its running totals with what its rows come to,
 * and deposits with what the chain says, all of one moment. Reads every rollup and every row of the journal.
 */
export async function readSides(db: D1Database): Promise<Sides[]> {
  const found = await db.batch<Sides>([...SHARES, ...ZERO, ...TOTALS, DEPOSITS, LOTS].map((text) => db.prepare(text)));
  return found.flatMap(({ results }) => results);
}

/** Some accounts' rows of the journal: of the accounts from `from` on, and from the first one again at the end. */
export async function sampleJournal(
  db: D1Database,
  from: string,
  { accounts, rows }: { readonly accounts: number; readonly rows: number },
): Promise<Map<string, JournalRow[]>> {
  const sample = new Map<string, JournalRow[]>();
  let place = from;
  for (let turn = 0; turn <= accounts && sample.size < accounts; turn++) {
    const found = await db
      .prepare(
        `SELECT * FROM journal WHERE account = (SELECT account FROM journal WHERE account > ?1 ORDER BY account LIMIT 1)
         ORDER BY seq DESC LIMIT ?2`,
      )
      .bind(place, rows)
      .all<JournalRow>();
    const account = found.results[0]?.account;
    if (account !== undefined && sample.has(account)) break;
    if (account !== undefined) sample.set(account, found.results);
    place = account ?? "";
  }
  return sample;
}
