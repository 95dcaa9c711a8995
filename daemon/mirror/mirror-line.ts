/** A mirror's line, and the end of a run at an entry that does not hold. */

import type { LedgerEntry } from "../../protocol/chain.ts";
import { ledgerEntry } from "../../protocol/network/account.ts";

/** Ends a run at an entry that does not hold. */
export class Broken extends Error {
  readonly check: string;
  readonly seq: number;
  /** The slice in whose chain it is; 0 for the account's own. */
  slice = 0;

  constructor(check: string, seq: number, detail: string) {
    super(detail);
    this.check = check;
    this.seq = seq;
  }
}

/** An entry as a mirror's line. */
export function lineOf({ seq, slice, at, type, body }: LedgerEntry): string {
  return JSON.stringify({ seq, ...(slice !== undefined && { slice }), at, type, body });
}

/** The entry of a line, or null where the line is not, to the byte, what a mirror writes. */
export function entryOf(line: string): LedgerEntry | null {
  try {
    const entry = ledgerEntry.parse(JSON.parse(line));
    return lineOf(entry) === line ? entry : null;
  } catch {
    return null;
  }
}
