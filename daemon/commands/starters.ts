/** `tollmill starter CODE` and `tollmill admin starter-codes`: starter balances for who has no wallet with a past. */

import { DAY_MS } from "../../core/time.ts";
import { starterCodeList, starterUsed } from "../../protocol/network/starters.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { type AdminFlags, adminSettingsOf, type Context, type GlobalFlags, settingsOf } from "./context.ts";

export interface CodesFlags extends AdminFlags {
  readonly count: number;
  readonly days: number;
}

const SAID = {
  granted: "The starter balance was granted.",
  granted_before: "This account has had its starter balance.",
  budget_spent: "Today's starter balances are spent: use the code again tomorrow.",
} as const;

export async function redeemStarter(context: Context, code: string, flags: GlobalFlags): Promise<ExitCode> {
  const settings = await settingsOf(context, flags);
  const call = { method: "POST", body: { code } } as const;
  const used = await callJson(settings, "/api/v1/starter", starterUsed, call);
  context.terminal.out(flags.json === true ? JSON.stringify(used) : SAID[used.starter]);
  return used.starter === "budget_spent" ? EXIT.refused : EXIT.ok;
}

/** Writes codes, one a line. Their time is a whole day's, so that the same call gives the same codes all day long. */
export async function makeCodes(
  context: Context,
  batch: string,
  { count, days, ...flags }: CodesFlags,
): Promise<ExitCode> {
  const settings = await adminSettingsOf(context, flags);
  const expiresAt = (Math.floor(Date.now() / DAY_MS) + days + 1) * DAY_MS;
  const body = { id: batch, count, expires_at: new Date(expiresAt).toISOString() };
  const made = await callJson(settings, "/api/v1/admin/starter-codes", starterCodeList, { method: "POST", body });
  if (flags.json === true) context.terminal.out(JSON.stringify(made));
  else for (const code of made.codes) context.terminal.out(code);
  context.terminal.err(`Each is for one account, until ${made.expires_at}.`);
  return EXIT.ok;
}
