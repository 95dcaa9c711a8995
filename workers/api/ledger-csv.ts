/** The ledger as flat rows for spreadsheets. */

import { stringify } from "csv-stringify/browser/esm/sync";
import { shown } from "../../core/account/lots.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import { formatCredits, formatUsd, GENESIS_PEG, type Millicredits, type NanoUsd } from "../../core/units.ts";
import type { EntryRecord } from "../../protocol/internal/account.ts";
import { timeText } from "../../protocol/network/common.ts";

const COLUMNS = [
  "seq",
  "at",
  "type",
  /** What came into the balance or went out of it; a backed amount is shown at the peg. */
  "credits_in",
  "credits_out",
  /** The price in USD of a job, or of a backed lot. */
  "usd",
  "kind",
  "backing",
  "job",
  "outcome",
  "lane",
  "model",
  "prompt_tokens",
  "completion_tokens",
  "memo",
  /** Whom a transfer went to or came from. */
  "account",
] as const;

type Row = Partial<Record<(typeof COLUMNS)[number], string | number>>;

/** An entry of a lot, of a hold's end or of packages that last longer (durable-objects/account/entries.ts); fields that the other one lacks are absent. */
interface PlainEntry {
  readonly kind?: string;
  readonly backing?: "usdc" | "none";
  readonly nano_usd?: number;
  readonly millicredits?: number;
  readonly memo?: string;
  readonly job?: string;
  readonly reason?: string;
  readonly direction?: "in" | "out";
  readonly account?: string;
  readonly day?: string;
  readonly p95_ms?: number;
  readonly extended?: readonly { readonly lot: string; readonly nano_usd: number; readonly millicredits: number }[];
}

// A cell that a spreadsheet would take for a formula gets an apostrophe in front: memos and names are other people's text.
const OPTIONS = { columns: [...COLUMNS], escape_formulas: true, record_delimiter: "windows" } as const;

export function csvHead(): string {
  return stringify([], { ...OPTIONS, header: true });
}

export function csvRows(entries: readonly EntryRecord[]): string {
  return stringify(entries.map(rowOf), OPTIONS);
}

function rowOf({ seq, at, type, body }: EntryRecord): Row {
  const row = { seq, at: timeText(at), type };
  const parsed = JSON.parse(body) as ReceiptBody | PlainEntry;
  return "charge" in parsed ? { ...row, ...receiptRow(parsed) } : { ...row, ...plainRow(type, parsed) };
}

function receiptRow({ job, outcome, lane, model, usage, charge }: ReceiptBody): Row {
  return {
    ...moved(-Number(charge.millicredits)),
    usd: formatUsd(Math.abs(charge.nano_usd) as NanoUsd),
    job,
    outcome,
    lane,
    model,
    prompt_tokens: usage.prompt,
    completion_tokens: usage.completion,
  };
}

function plainRow(type: string, entry: PlainEntry): Row {
  const { kind = "", backing, nano_usd: nano = 0, millicredits: milli = 0, job = "", memo, reason = "" } = entry;
  const row = { kind, job, memo: memo ?? reason };
  if (type === "transfer" && entry.direction !== undefined) {
    return { ...row, account: entry.account ?? "", ...moved(entry.direction === "out" ? -milli : milli) };
  }
  if (entry.extended !== undefined) return { ...row, ...extensionRow(entry.extended, entry) };
  if (backing === undefined) return row;
  const amount: number = shown(backing, backing === "usdc" ? nano : milli, GENESIS_PEG);
  return {
    ...row,
    backing,
    ...moved(type === "expiry" ? -amount : amount),
    ...(backing === "usdc" ? { usd: formatUsd(nano as NanoUsd) } : {}),
  };
}

/** Packages that last a day longer, and what of them comes back. */
function extensionRow(extended: NonNullable<PlainEntry["extended"]>, { day, p95_ms: p95 }: PlainEntry): Row {
  const back = extended.reduce((sum, lot) => sum + shown("usdc", lot.nano_usd, GENESIS_PEG) + lot.millicredits, 0);
  const lots = extended.map(({ lot }) => lot).join(", ");
  return {
    ...(back > 0 && moved(back)),
    kind: "package",
    memo: `a day longer: ${lots} (95 of 100 jobs waited up to ${p95} ms on ${day})`,
  };
}

/** A change of the balance in millicredits, in the column of its direction: a minus sign in front would read as a formula. */
function moved(change: number): Row {
  const amount = formatCredits(Math.abs(change) as Millicredits);
  return change < 0 ? { credits_out: amount } : { credits_in: amount };
}
