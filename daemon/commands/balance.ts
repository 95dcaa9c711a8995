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
  terminal.out(`${found.available} credits available, ${found.held} held by ${jobs(found.open_jobs, "open ")}`);
  terminal.out(`Remote inference needs at least ${found.minimum} credits.`);
  if (found.allotment !== null) {
    const { granted, left, refresh_at, slots, in_use } = found.allotment;
    terminal.out(`${left} of today's allotment of ${granted} credits are left until ${refresh_at.slice(0, 16)}Z.`);
    terminal.out(`Its stake carries ${jobs(slots)} at once, ${in_use} of them ${in_use === 1 ? "is" : "are"} open.`);
  }
  if (found.packages !== null) {
    const { slots, in_use } = found.packages;
    terminal.out(`Packages reserve ${slots} ${slots === 1 ? "slot" : "slots"}, ${in_use} in use.`);
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

function jobs(count: number, which = ""): string {
  return `${count} ${which}${count === 1 ? "job" : "jobs"}`;
}
