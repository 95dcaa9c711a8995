/** `tollmill admin reversals`: one operator proposes to take a receipt back, another one approves or declines it. */

import { randomUUID } from "node:crypto";
import type { z } from "zod";
import { isId128 } from "../../core/ids.ts";
import { reversalId, reversalPage, reversal as reversalShape } from "../../protocol/network/reversals.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { readPages } from "../network/pages.ts";
import { table } from "../output/tables.ts";
import { type AdminFlags, adminSettingsOf, type Context } from "./context.ts";

type Reversal = z.infer<typeof reversalShape>;

const PATH = "/api/v1/admin/reversals";

export interface ListFlags extends AdminFlags {
  readonly state?: Reversal["state"];
}

export interface ProposeFlags extends AdminFlags {
  readonly reason: string;
  readonly id?: string;
}

export interface ApproveFlags extends AdminFlags {
  readonly yes?: boolean;
}

export async function listReversals(context: Context, flags: ListFlags): Promise<ExitCode> {
  const { terminal } = context;
  const all = await readPages(await adminSettingsOf(context, flags), PATH, reversalPage, flags.state);
  if (flags.json === true) {
    for (const reversal of all) terminal.out(JSON.stringify(reversal));
    return EXIT.ok;
  }
  if (all.length === 0) {
    terminal.err(`There are no reversals${flags.state === undefined ? "" : ` that are ${flags.state}`}.`);
    return EXIT.ok;
  }
  const rows = all.map((reversal) => [
    reversal.id,
    reversal.proposed_at.slice(0, 16).replace("T", " "),
    reversal.state,
    reversal.amount,
    reversal.proposed_by,
    reversal.approved_by ?? reversal.declined_by ?? "",
    reversal.job,
    reversal.reason,
  ]);
  const head = ["id", "proposed (UTC)", "state", "credits", "by", "decided by", "job", "reason"];
  terminal.out(table(head, rows, ["credits"]));
  return EXIT.ok;
}

export async function proposeReversal(
  context: Context,
  account: string,
  job: string,
  flags: ProposeFlags,
): Promise<ExitCode> {
  const { terminal } = context;
  if (!isId128(account)) throw new Failure(EXIT.usage, `${account} is no account id: it has 22 letters and digits.`);
  if (!isId128(job)) throw new Failure(EXIT.usage, `${job} is no job id: it has 22 letters and digits.`);
  const { reason, id = randomUUID() } = flags;
  const settings = await adminSettingsOf(context, flags);
  // Before the call: whoever does not see its answer sends the same again under this id, and nothing twice.
  terminal.err(`Proposing under --id ${checkedId(id)} to take back the receipt of job ${job}: ${reason}`);
  const call = { method: "POST", body: { id, account, job, reason } } as const;
  const made = await callJson(settings, PATH, reversalShape, call);
  show(context, flags, made);
  if (flags.json !== true && made.state === "proposed") {
    terminal.err(`Another operator decides until ${made.expires_at}: tollmill admin reversals approve ${id}`);
  }
  return EXIT.ok;
}

/** Approves. Without `--yes` it only says what it would do, as nothing takes a reversal back. */
export async function approveReversal(context: Context, id: string, flags: ApproveFlags): Promise<ExitCode> {
  const { terminal } = context;
  const settings = await adminSettingsOf(context, flags);
  const path = `${PATH}/${checkedId(id)}`;
  const proposed = await callJson(settings, path, reversalShape);
  if (flags.yes !== true) {
    show(context, flags, proposed);
    if (proposed.state === "proposed" || proposed.state === "approved") {
      terminal.err(`This would take the receipt back. To do it: tollmill admin reversals approve ${id} --yes`);
    }
    return EXIT.ok;
  }
  terminal.err(`Approving: ${about(proposed)}`);
  show(context, flags, await callJson(settings, `${path}/approve`, reversalShape, { method: "POST" }));
  return EXIT.ok;
}

export async function declineReversal(context: Context, id: string, flags: AdminFlags): Promise<ExitCode> {
  const settings = await adminSettingsOf(context, flags);
  const path = `${PATH}/${checkedId(id)}`;
  context.terminal.err(`Declining: ${about(await callJson(settings, path, reversalShape))}`);
  show(context, flags, await callJson(settings, `${path}/decline`, reversalShape, { method: "POST" }));
  return EXIT.ok;
}

function show({ terminal }: Context, flags: AdminFlags, reversal: Reversal): void {
  terminal.out(flags.json === true ? JSON.stringify(reversal) : `${reversal.id}: ${about(reversal)}${endOf(reversal)}`);
}

/** What a reversal is about, in one line. */
function about({ amount, amount_usd, account, job, reason, proposed_by }: Reversal): string {
  return `${amount} credits (${amount_usd} USD) of job ${job} back to ${account}, proposed by ${proposed_by}: ${reason}`;
}

/** What became of it. */
function endOf({ state, seq, outcome, approved_by, declined_by }: Reversal): string {
  switch (state) {
    case "reversed":
      return outcome === "already_reversed"
        ? `\nThe receipt was taken back before, by entry ${seq}.`
        : `\nReversed by entry ${seq}, approved by ${approved_by}.`;
    case "approved":
      return `\nApproved by ${approved_by}, and not carried out yet: approve it again.`;
    case "refused":
      return `\nRefused by the account: ${outcome}.`;
    case "declined":
      return `\nDeclined by ${declined_by}.`;
    case "expired":
      return "\nExpired: nobody decided in time.";
    default:
      return "";
  }
}

/** An id goes into a path, so nothing else may. */
function checkedId(id: string): string {
  const parsed = reversalId.safeParse(id);
  if (parsed.success) return id;
  throw new Failure(EXIT.usage, `--id ${id}: a proposal's id ${parsed.error.issues[0]?.message ?? "is another"}.`);
}
