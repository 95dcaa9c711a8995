/** `tollmill admin deposits`: what arrived at the treasury, and what two operators decide about what nobody can tell. */

import { randomUUID } from "node:crypto";
import type { z } from "zod";
import {
  adminDepositPage,
  resolutionId,
  resolutionPage,
  resolution as resolutionShape,
} from "../../protocol/network/deposit-resolutions.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { readPages } from "../network/pages.ts";
import { table } from "../output/tables.ts";
import { type AdminFlags, adminSettingsOf, type Context } from "./context.ts";

type Resolution = z.infer<typeof resolutionShape>;

const DEPOSITS = "/api/v1/admin/deposits";
const RESOLUTIONS = "/api/v1/admin/deposit-resolutions";

export interface StateFlags extends AdminFlags {
  readonly state?: string;
}

export interface ProposeFlags extends AdminFlags {
  readonly reason: string;
  readonly id?: string;
}

export interface ApproveFlags extends AdminFlags {
  readonly yes?: boolean;
}

export async function listDeposits(context: Context, flags: StateFlags): Promise<ExitCode> {
  const { terminal } = context;
  const all = await readPages(await adminSettingsOf(context, flags), DEPOSITS, adminDepositPage, flags.state);
  if (flags.json === true) for (const one of all) terminal.out(JSON.stringify(one));
  else if (all.length === 0) terminal.err("There are no deposits.");
  else {
    const rows = all.map((one) => [
      one.id,
      one.at.slice(0, 16).replace("T", " "),
      one.state,
      one.reason,
      one.amount_usdc,
      one.account ?? "",
      one.signature,
    ]);
    const head = ["id", "at (UTC)", "state", "reason", "USDC", "account", "signature"];
    terminal.out(table(head, rows, ["USDC"]));
  }
  return EXIT.ok;
}

export async function listResolutions(context: Context, flags: StateFlags): Promise<ExitCode> {
  const { terminal } = context;
  const all = await readPages(await adminSettingsOf(context, flags), RESOLUTIONS, resolutionPage, flags.state);
  if (flags.json === true) for (const one of all) terminal.out(JSON.stringify(one));
  else if (all.length === 0) terminal.err("There are no proposals.");
  else {
    const rows = all.map((one) => [
      one.id,
      one.proposed_at.slice(0, 16).replace("T", " "),
      one.state,
      one.action,
      one.deposit,
      one.account ?? "",
      one.proposed_by,
      one.approved_by ?? one.declined_by ?? "",
      one.reason,
    ]);
    terminal.out(
      table(["id", "proposed (UTC)", "state", "action", "deposit", "account", "by", "decided by", "reason"], rows),
    );
  }
  return EXIT.ok;
}

/** What may become of a deposit in suspense. */
export type Outcome = { readonly action: "credit"; readonly account: string } | { readonly action: "return" | "keep" };

/** Proposes what becomes of a deposit. */
export async function proposeForDeposit(
  context: Context,
  deposit: string,
  outcome: Outcome,
  flags: ProposeFlags,
): Promise<ExitCode> {
  const { terminal } = context;
  if (!/^[0-9A-Za-z]{22}$/.test(deposit)) {
    throw new Failure(EXIT.usage, `${deposit} is no deposit's id: it has 22 letters and digits.`);
  }
  const { reason, id = randomUUID() } = flags;
  const settings = await adminSettingsOf(context, flags);
  // Before the call: whoever does not see its answer sends the same again under this id, and nothing twice.
  terminal.err(`Proposing under --id ${checkedId(id)}: ${reason}`);
  const call = { method: "POST", body: { id, reason, ...outcome } } as const;
  const made = await callJson(settings, `${DEPOSITS}/${deposit}/resolutions`, resolutionShape, call);
  show(context, flags, made);
  if (flags.json !== true && made.state === "proposed") {
    terminal.err(`Another operator decides until ${made.expires_at}: tollmill admin deposits approve ${id} --yes`);
  }
  return EXIT.ok;
}

/** Approves. Without `--yes` it only says what that would do. */
export async function approveForDeposit(context: Context, id: string, flags: ApproveFlags): Promise<ExitCode> {
  if (flags.yes !== true) {
    context.terminal.err(`This carries out what was proposed. To do it: tollmill admin deposits approve ${id} --yes`);
    return EXIT.ok;
  }
  return await decide(context, id, "approve", flags);
}

export async function declineForDeposit(context: Context, id: string, flags: AdminFlags): Promise<ExitCode> {
  return await decide(context, id, "decline", flags);
}

async function decide(context: Context, id: string, what: "approve" | "decline", flags: AdminFlags): Promise<ExitCode> {
  const settings = await adminSettingsOf(context, flags);
  const path = `${RESOLUTIONS}/${checkedId(id)}/${what}`;
  show(context, flags, await callJson(settings, path, resolutionShape, { method: "POST" }));
  return EXIT.ok;
}

function show({ terminal }: Context, flags: AdminFlags, resolution: Resolution): void {
  const { id, deposit, action, account, state, reason } = resolution;
  const outcomes = {
    credit: `credit ${account} with deposit ${deposit}`,
    return: `deposit ${deposit} was paid back`,
    keep: `deposit ${deposit} is the network's own`,
  };
  terminal.out(flags.json === true ? JSON.stringify(resolution) : `${id}: ${outcomes[action]}, ${state}: ${reason}`);
}

/** An id goes into a path, so nothing else may. */
function checkedId(id: string): string {
  const parsed = resolutionId.safeParse(id);
  if (parsed.success) return id;
  throw new Failure(EXIT.usage, `--id ${id}: a proposal's id ${parsed.error.issues[0]?.message ?? "is another"}.`);
}
