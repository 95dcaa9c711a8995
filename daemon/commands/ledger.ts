/** `tollmill ledger`: the account's entries in order, as the network chains them. */

import { z } from "zod";
import { formatCredits, type Millicredits } from "../../core/units.ts";
import type { LedgerEntry } from "../../protocol/chain.ts";
import { cursorOf } from "../../protocol/ledger-cursor.ts";
import { ledgerEntry } from "../../protocol/network/account.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callText } from "../network/api.ts";
import type { Settings } from "../network/settings.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export interface LedgerFlags extends GlobalFlags {
  readonly from: number;
  readonly limit: number;
}

/**
 * Entries from a sequence number on, oldest first: of the account's own chain (slice 0), of one slice's, or of all chains
 * one after the other. Throws a Failure.
 */
export async function readLedger(
  settings: Settings,
  from: number,
  limit: number,
  slice?: number,
): Promise<LedgerEntry[]> {
  const path = `/api/v1/ledger?format=ndjson&from=${from}&limit=${limit}${slice === undefined ? "" : `&slice=${slice}`}`;
  const lines = (await callText(settings, path)).split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    try {
      return ledgerEntry.parse(JSON.parse(line));
    } catch {
      throw new Failure(EXIT.unreachable, `${settings.url}${path} answered in an unknown form. Update tollmill.`);
    }
  });
}

export async function showLedger(context: Context, flags: LedgerFlags): Promise<ExitCode> {
  const entries = await readLedger(await settingsOf(context, flags), flags.from, flags.limit);
  const { terminal } = context;
  if (flags.json === true) {
    for (const line of entries) terminal.out(JSON.stringify(line));
    return EXIT.ok;
  }
  if (entries.length === 0) {
    terminal.err(`There are no entries from ${flags.from} on.`);
    return EXIT.ok;
  }
  const rows = entries.map(({ seq, slice, at, type, body }) => {
    const { subject, charged } = summary(body);
    return [
      slice === undefined ? String(seq) : `${slice}/${seq}`,
      new Date(at).toISOString().slice(0, 19).replace("T", " "),
      type,
      charged,
      subject,
    ];
  });
  terminal.out(table(["seq", "time (UTC)", "type", "charged", "about"], rows, ["seq", "charged"]));
  const last = entries.at(-1);
  if (entries.length === flags.limit && last !== undefined)
    terminal.err(`More: tollmill ledger --from ${cursorOf({ slice: last.slice ?? 0, seq: last.seq + 1 })}`);
  return EXIT.ok;
}

const receipt = z.object({ job: z.string(), model: z.string(), charge: z.object({ millicredits: z.int() }) });
interface Extension {
  readonly day?: string | undefined;
  readonly jobs?: number | undefined;
  readonly p95_ms?: number | undefined;
}

const text = z.string().optional();
const other = z.object({
  job: text,
  memo: text,
  reason: text,
  direction: z.enum(["in", "out"]).optional(),
  account: text,
  slice: z.int().optional(),
  moved: z.enum(["in", "out"]).optional(),
  day: text,
  jobs: z.int().optional(),
  p95_ms: z.int().optional(),
  extended: z.array(z.object({ lot: z.string(), until: z.int() })).optional(),
});

/** What an entry's body says in a few words. Bodies of kinds to come say nothing here; `--json` has them whole. */
function summary(body: string): { subject: string; charged: string } {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return { subject: "", charged: "" };
  }
  const posted = receipt.safeParse(value);
  if (posted.success) {
    const { job, model, charge } = posted.data;
    return { subject: `${job} ${model}`, charged: formatCredits(charge.millicredits as Millicredits) };
  }
  const { job, memo, reason, direction, account, slice, moved, ...more } = other.safeParse(value).data ?? {};
  const way = direction === undefined ? undefined : `${direction === "out" ? "to" : "from"} ${account}`;
  const part = moved === undefined ? undefined : `${moved} (slice ${slice})`;
  const given = more.extended === undefined ? undefined : extensionText(more.extended, more);
  return { subject: [job, way, part, given, memo, reason].filter((text) => text !== undefined).join(" "), charged: "" };
}

function extensionText(extended: readonly { lot: string; until: number }[], { day, jobs, p95_ms }: Extension): string {
  const lots = extended.map(({ lot, until }) => `${lot} until ${new Date(until).toISOString().slice(0, 16)}`);
  return `${lots.join(", ")}: on ${day} 95 of 100 of ${jobs} jobs in its slots waited up to ${p95_ms} ms`;
}
