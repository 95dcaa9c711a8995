/** `tollmill invariants`: the network's sums that must be zero, for people who look and for scripts that watch. */

import type { z } from "zod";
import { invariants as invariantsShape } from "../../protocol/network/invariants.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

type Invariants = z.infer<typeof invariantsShape>;

/** Shows the sums; the exit code is that of a failed check where one of them is not zero, or a spot check differs. */
export async function showInvariants(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  // Everybody may ask, so no key is sent.
  const settings = { ...(await settingsOf(context, flags)), apiKey: null };
  const found = await callJson(settings, "/api/v1/invariants", invariantsShape);
  const { terminal } = context;
  if (flags.json === true) terminal.out(JSON.stringify(found));
  else {
    terminal.out(tableOf(found));
    terminal.err(summaryOf(found));
  }
  return found.ok ? EXIT.ok : EXIT.checkFailed;
}

function tableOf({ invariants, spot_check: { differences } }: Invariants): string {
  const rows = invariants.map((sum) => [
    sum.name,
    sum.of,
    sum.unit,
    sum.left,
    sum.right,
    sum.difference,
    sum.ok ? "holds" : "DIFFERS",
  ]);
  const sums = table(["sum", "of", "unit", "left", "right", "difference", ""], rows, ["left", "right", "difference"]);
  const lines = differences.map(({ account, seq, detail }) => `account ${account}, entry ${seq}: ${detail}`);
  return [sums, ...lines].join("\n");
}

function summaryOf({
  at,
  invariants,
  in_transfer,
  in_suspense,
  spot_check: { accounts, entries, differences },
}: Invariants): string {
  const wrong = invariants.filter(({ ok }) => !ok).length;
  const sums =
    wrong === 0
      ? `All ${invariants.length} differences are zero`
      : `${wrong} of ${invariants.length} differences are not zero`;
  const compared = `${entries} entries of ${accounts} accounts`;
  const spot =
    differences.length === 0
      ? `${compared} are as the journal has them`
      : `${differences.length} of ${compared} differ`;
  const age = Math.max(0, Math.round((Date.now() - Date.parse(at)) / 1_000));
  const waiting = `Deposits in suspense: ${in_suspense} nanoUSD.`;
  return `${sums}, and ${spot}, ${age} s ago. ${waiting} On their way between accounts: ${in_transfer} millicredits.`;
}
