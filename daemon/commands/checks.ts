/** `tollmill admin checks`: the checks that daemons failed, and what was taken back for it. */

import type { z } from "zod";
import { checkPage, type failedCheck as failedCheckShape } from "../../protocol/network/checks.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { readPages } from "../network/pages.ts";
import { table } from "../output/tables.ts";
import { type AdminFlags, adminSettingsOf, type Context } from "./context.ts";

type FailedCheck = z.infer<typeof failedCheckShape>;

export interface ChecksFlags extends AdminFlags {
  readonly open?: boolean;
}

export async function listChecks(context: Context, flags: ChecksFlags): Promise<ExitCode> {
  const { terminal } = context;
  const settings = await adminSettingsOf(context, flags);
  const found = await readPages(settings, "/api/v1/admin/checks", checkPage);
  const all = found.filter(({ state }) => flags.open !== true || state !== "done");
  if (flags.json === true) {
    for (const check of all) terminal.out(JSON.stringify(check));
    return EXIT.ok;
  }
  if (all.length === 0) {
    terminal.err(flags.open === true ? "Every failed check is done." : "No daemon has failed a check.");
    return EXIT.ok;
  }
  const head = ["failed (UTC)", "state", "check", "model", "daemon", "job", "due", "reversed", "others", "credits"];
  terminal.out(table(head, all.map(rowOf), ["due", "reversed", "others", "credits"]));
  return EXIT.ok;
}

function rowOf(failed: FailedCheck): string[] {
  const { failed_at, state, check, model, daemon, job, due, reversed, already_reversed, refused, amount } = failed;
  const others = already_reversed + refused;
  return [
    failed_at.slice(0, 16).replace("T", " "),
    state,
    check,
    model,
    daemon,
    job,
    String(due),
    String(reversed),
    String(others),
    amount,
  ];
}
