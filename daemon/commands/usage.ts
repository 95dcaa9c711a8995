/** `tollmill usage`: what the account's jobs used and cost, summed up by day, model, key, member or lane. */

import type { UsageBy } from "../../core/account/usage.ts";
import {
  formatCredits,
  formatUsd,
  type Millicredits,
  type NanoUsd,
  parseCredits,
  parseUsd,
  sum,
} from "../../core/units.ts";
import { type UsageRow, usagePage } from "../../protocol/network/usage.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { callJson } from "../network/api.ts";
import type { Settings } from "../network/settings.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export interface UsageFlags extends GlobalFlags {
  readonly by: UsageBy;
  readonly from?: string;
  readonly to?: string;
}

export async function showUsage(context: Context, flags: UsageFlags): Promise<ExitCode> {
  const { terminal } = context;
  const rows = await readUsage(await settingsOf(context, flags), flags);
  if (flags.json === true) {
    for (const row of rows) terminal.out(JSON.stringify(row));
    return EXIT.ok;
  }
  if (rows.length === 0) {
    terminal.err("No job ended in that time.");
    return EXIT.ok;
  }
  const counts = ["jobs", "completed", "cancelled", "failed", "unanswered", "prompt", "completion", "credits", "usd"];
  const shown = [...rows, ...(rows.length > 1 ? [rows.reduce(add, { ...nothing(), group: "total" })] : [])];
  const isNamed = flags.by === "key" || flags.by === "member";
  const cells = shown.map((row) => [
    ...(isNamed ? [row.group, row.name ?? ""] : [row.group]),
    ...[row.jobs, row.completed, row.cancelled, row.failed, row.unanswered].map(String),
    ...[row.prompt_tokens, row.completion_tokens].map(String),
    row.credits,
    row.usd,
  ]);
  terminal.out(table([flags.by, ...(isNamed ? ["name"] : []), ...counts], cells, counts));
  return EXIT.ok;
}

/** All pages, the rows of one group added together. */
async function readUsage(settings: Settings, { by, from, to }: UsageFlags): Promise<UsageRow[]> {
  const query = new URLSearchParams({
    by,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  });
  const rows = new Map<string, UsageRow>();
  for (;;) {
    const page = await callJson(settings, `/api/v1/usage?${query}`, usagePage);
    for (const row of page.data) rows.set(row.group, add(rows.get(row.group) ?? { ...nothing(), ...nameOf(row) }, row));
    if (page.next === null) return [...rows.values()].toSorted((a, b) => (a.group < b.group ? -1 : 1));
    // The page has chosen where it begins; the next one has to belong to it.
    query.set("from", page.from);
    query.set("cursor", String(page.next));
  }
}

function nameOf({ group, name }: UsageRow): Pick<UsageRow, "group" | "name"> {
  return { group, name };
}

function nothing(): UsageRow {
  const counts = {
    jobs: 0,
    completed: 0,
    cancelled: 0,
    failed: 0,
    unanswered: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
  };
  return { group: "", name: null, ...counts, credits: formatCredits(0 as Millicredits), usd: formatUsd(0 as NanoUsd) };
}

/** Adds a row to another one, which keeps its name. */
function add(a: UsageRow, b: UsageRow): UsageRow {
  return {
    group: a.group,
    name: a.name,
    jobs: a.jobs + b.jobs,
    completed: a.completed + b.completed,
    cancelled: a.cancelled + b.cancelled,
    failed: a.failed + b.failed,
    unanswered: a.unanswered + b.unanswered,
    prompt_tokens: a.prompt_tokens + b.prompt_tokens,
    completion_tokens: a.completion_tokens + b.completion_tokens,
    credits: formatCredits(sum([a, b].map(({ credits }) => parseCredits(credits) ?? (Number.NaN as Millicredits)))),
    usd: formatUsd(sum([a, b].map(({ usd }) => parseUsd(usd) ?? (Number.NaN as NanoUsd)))),
  };
}
