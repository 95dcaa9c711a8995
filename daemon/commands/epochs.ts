/** `tollmill epochs daily`: the rate of today's allotments and tomorrow's, and how they come about. */

import { type DailyEpoch, dailyEpochs } from "../../protocol/network/epochs.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export async function showDailyEpochs(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  // Everybody may ask, so no key is sent.
  const settings = { ...(await settingsOf(context, flags)), apiKey: null };
  const found = await callJson(settings, "/api/v1/epochs/daily", dailyEpochs);
  const { terminal } = context;
  if (flags.json === true) {
    terminal.out(JSON.stringify(found));
    return EXIT.ok;
  }
  const { current, next, next_is_estimate: isEstimate } = found;
  const rows = [
    ...(current === null ? [] : [[current, "in force"] as const]),
    [next, isEstimate ? "estimate" : "made"] as const,
  ];
  const cells = rows.map(([{ day, outputs }, state]) => [
    day,
    state,
    outputs.rate,
    outputs.budget,
    outputs.budget_most,
    outputs.obligation,
  ]);
  const numbers = ["nanoUSD per unit", "budget USD", "bound USD", "obligation USD"];
  terminal.out(table(["day", "", ...numbers], cells, numbers));
  if (current === null) terminal.out("Today has no row, so nobody has an allotment.");
  for (const [epoch] of rows) terminal.out(["", `${epoch.day}:`, ...sentences(epoch)].join("\n"));
  return EXIT.ok;
}

function sentences({ explanation }: DailyEpoch): string[] {
  return explanation.map(({ text }) => `  ${text}`);
}
