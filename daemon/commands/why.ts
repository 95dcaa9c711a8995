/** `tollmill why`: what keeps daemons from getting jobs. */

import { parseDaemonId } from "../../core/keys.ts";
import { daemonPage } from "../../protocol/network/daemons.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { readPages } from "../network/pages.ts";
import type { Settings } from "../network/settings.ts";
import { askWhy, type Why } from "../network/why.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

type Pool = Why["pools"][number];
type PassedOver = Pool["passed_over"][number];

export interface WhyFlags extends GlobalFlags {
  readonly model?: string;
}

export async function showWhy(context: Context, daemon: string | undefined, flags: WhyFlags): Promise<ExitCode> {
  const { terminal } = context;
  const settings = await settingsOf(context, flags);
  const ids = daemon === undefined ? await ownDaemons(settings) : [checkedId(daemon)];
  if (ids.length === 0) terminal.err("The account has no daemons: tollmill daemon starts one.");
  for (const [index, id] of ids.entries()) {
    const why = await askWhy(settings, id, flags.model);
    if (flags.json === true) {
      for (const pool of why.pools) terminal.out(JSON.stringify({ daemon: id, ...pool }));
      continue;
    }
    if (index > 0) terminal.out("");
    for (const line of linesOf(why)) terminal.out(line);
  }
  return EXIT.ok;
}

async function ownDaemons(settings: Settings): Promise<string[]> {
  return (await readPages(settings, "/api/v1/daemons", daemonPage)).map(({ id }) => id);
}

function linesOf({ daemon, pools }: Why): string[] {
  if (pools.length === 0) return [daemon, "It offers no model: start it, or name one with --model."];
  return [daemon, ...pools.flatMap(poolLines)];
}

function poolLines({ model, region, since, decisions, chosen, passed_over }: Pool): string[] {
  const time = since.slice(11, 16);
  const head = `${model} in ${region}: chosen in ${chosen} of ${decisions} decisions looked into since ${time} UTC`;
  if (passed_over.length === 0) return [head];
  const rows = passed_over.map((passed) => [String(passed.count), passed.reason, overOf(passed), passed.fix]);
  return [head, table(["times", "reason", "over, USD per 1k", "what to do"], rows, ["times"])];
}

function overOf({ over }: PassedOver): string {
  if (over === null) return "";
  return over.least === over.most ? over.least : `${over.least} to ${over.most}`;
}

/** An id goes into a path, so nothing else may. */
function checkedId(id: string): string {
  if (parseDaemonId(id) !== null) return id;
  throw new Failure(EXIT.usage, `${id} is no daemon's id: it is what a daemon says at its start, such as 9xQeWvG8….`);
}
