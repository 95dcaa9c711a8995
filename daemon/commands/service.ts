/** `tollmill service`: how long jobs in reserved slots waited, day by day, and what missed days gave back. */

import { type ServiceLevelRow, serviceLevels } from "../../protocol/network/service-levels.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { callJson } from "../network/api.ts";
import type { Settings } from "../network/settings.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export interface ServiceFlags extends GlobalFlags {
  readonly from?: string;
}

export async function showService(context: Context, flags: ServiceFlags): Promise<ExitCode> {
  const { terminal } = context;
  const days = await readDays(await settingsOf(context, flags), flags.from);
  if (flags.json === true) {
    for (const day of days) terminal.out(JSON.stringify(day));
    return EXIT.ok;
  }
  if (days.length === 0) {
    terminal.err("No day with jobs in reserved slots is over in that time.");
    return EXIT.ok;
  }
  const counts = ["jobs", "p95 ms", "target ms"];
  const cells = days.map(({ day, jobs, p95_ms: p95, target_ms: target, missed, extended_until: until, entry }) => [
    day,
    String(jobs),
    p95 === null ? "" : String(p95),
    String(target),
    missed ? "missed" : "",
    until === null ? "" : `${until.slice(0, 19).replace("T", " ")} (entry ${entry})`,
  ]);
  terminal.out(table(["day", ...counts, "", "packages last until (UTC)"], cells, counts));
  return EXIT.ok;
}

async function readDays(settings: Settings, from: string | undefined): Promise<ServiceLevelRow[]> {
  const days: ServiceLevelRow[] = [];
  for (let next = from; ; ) {
    const query = next === undefined ? "" : `?from=${next}`;
    const page = await callJson(settings, `/api/v1/service-levels${query}`, serviceLevels);
    days.push(...page.data);
    if (page.next === null) return days;
    next = page.next;
  }
}
