/** The whole log, read from its stores: rows from D1, bytes from R2, each held against the other. */

import { createHash } from "node:crypto";
import { hashText } from "../../core/receipt/canonical.ts";
import type { Child } from "../processes/calls.ts";
import type { RowsCall } from "../serve.ts";

interface Row {
  readonly job: string;
  readonly n: number;
  readonly log_index: number;
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  readonly nano_usd: number;
}
interface Segment {
  readonly first_index: number;
  readonly count: number;
  readonly hash: string;
}

export interface LoggedReceipts {
  /** SHA-256 of the body that the log keeps, by job and n. */
  readonly hashes: ReadonlyMap<string, string>;
  readonly nanoUsd: number;
  /** What does not add up, in words. */
  readonly faults: readonly string[];
}

const PAGE = 5_000;

export async function readLog(server: Child): Promise<LoggedReceipts> {
  const select = <T>(sql: string, ...values: number[]) => server.call<T[]>("rows", { sql, values } satisfies RowsCall);
  const faults: string[] = [];
  const hashes = new Map<string, string>();
  let nanoUsd = 0;
  let size = 0;
  const segments = await select<Segment>("SELECT first_index, count, hash FROM segments ORDER BY first_index");
  const rows: Row[] = [];
  for (let page: Row[] | null = null; page === null || page.length === PAGE; rows.push(...page)) {
    page = await select<Row>(
      `SELECT job, n, log_index, segment, "offset", "length", nano_usd FROM receipts
       WHERE log_index >= ? ORDER BY log_index LIMIT ${PAGE}`,
      rows.length,
    );
  }
  for (const { first_index, count, hash } of segments) {
    if (first_index !== size) faults.push(`a segment begins at ${first_index}, not at ${size}`);
    const bytes = Buffer.from((await server.call<string | null>("object", `segments/${hash}`)) ?? "");
    if (createHash("sha256").update(bytes).digest("hex") !== hash) faults.push(`segment ${hash} has other bytes`);
    for (const row of rows.slice(size, size + count)) {
      const key = `${row.job}/${row.n}`;
      if (row.log_index !== size) faults.push(`log index ${row.log_index} stands at ${size}`);
      if (row.segment !== first_index) faults.push(`${key} names segment ${row.segment}, not ${first_index}`);
      if (hashes.has(key)) faults.push(`${key} is in the log twice`);
      const line = bytes.toString("utf8", row.offset, row.offset + row.length);
      hashes.set(key, hashText((JSON.parse(line) as { body: string }).body));
      nanoUsd += row.nano_usd;
      size += 1;
    }
  }
  if (size !== rows.length) faults.push(`the segments have ${size} receipts, the index ${rows.length}`);
  faults.push(...(await rollupFaults(select, nanoUsd)));
  return { hashes, nanoUsd, faults };
}

/** Charges and shares of all windows must be equal in each backing, and come to what the rows charge. */
async function rollupFaults(select: <T>(sql: string) => Promise<T[]>, nanoUsd: number): Promise<string[]> {
  const sums = await select<{ side: string; backing: string; nano_usd: number; millicredits: number }>(
    `SELECT side, backing, SUM(nano_usd) AS nano_usd, SUM(millicredits) AS millicredits FROM rollups
     GROUP BY side, backing`,
  );
  const of = (side: string, backing: string) => {
    const sum = sums.find((row) => row.side === side && row.backing === backing);
    return (sum?.nano_usd ?? 0) + (sum?.millicredits ?? 0);
  };
  const faults = ["usdc", "none"]
    .filter((backing) => of("charge", backing) !== of("share", backing))
    .map((backing) => `${backing}: charges of ${of("charge", backing)}, shares of ${of("share", backing)}`);
  // At the peg of 1 a millicredit stands for a nanoUSD.
  const charged = of("charge", "usdc") + of("charge", "none");
  if (charged !== nanoUsd) faults.push(`the windows charge ${charged}, the receipts ${nanoUsd}`);
  return faults;
}
