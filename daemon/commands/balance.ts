/** `tollmill balance`: what the account has, and which lots it is made of. */

import { balance } from "../../protocol/network/account.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export async function showBalance(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  const found = await callJson(await settingsOf(context, flags), "/api/v1/balance", balance);
  const { terminal } = context;
  if (flags.json === true) {
    terminal.out(JSON.stringify(found));
    return EXIT.ok;
  }
  terminal.out(
    `${found.available} credits available, ${found.held} held by ${found.open_jobs} open ${found.open_jobs === 1 ? "job" : "jobs"}`,
  );
  terminal.out(`Remote inference needs at least ${found.minimum} credits.`);
  if (found.allotment !== null) {
    const { granted, left, refresh_at } = found.allotment;
    terminal.out(`${left} of today's allotment of ${granted} credits are left until ${refresh_at.slice(0, 16)}Z.`);
  }
  if (found.lots.length === 0) return EXIT.ok;
  const rows = found.lots.map((lot) => [
    lot.kind,
    lot.backing === "usdc" ? "USDC" : "none",
    lot.available,
    lot.held,
    lot.expires_at === null ? "never" : new Date(lot.expires_at).toISOString().slice(0, 16),
  ]);
  terminal.out("");
  terminal.out(table(["lot", "backing", "available", "held", "expires"], rows, ["available", "held"]));
  return EXIT.ok;
}
