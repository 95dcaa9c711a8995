/** `tollmill daemons`: the account's daemons, what each does, and draining and resuming them. */

import type { z } from "zod";
import { parseDaemonId } from "../../core/keys.ts";
import { daemonPage, type daemon as daemonShape, wholeDaemon } from "../../protocol/network/daemons.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { readPages } from "../network/pages.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

type Daemon = z.infer<typeof daemonShape>;
type WholeDaemon = z.infer<typeof wholeDaemon>;
type Connection = NonNullable<WholeDaemon["connection"]>;
type Standing = Connection["models"][number]["standing"];

const PATH = "/api/v1/daemons";

export async function listDaemons(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  const { terminal } = context;
  const all = await readPages(await settingsOf(context, flags), PATH, daemonPage);
  if (flags.json === true) {
    for (const daemon of all) terminal.out(JSON.stringify(daemon));
    return EXIT.ok;
  }
  if (all.length === 0) {
    terminal.err("The account has no daemons: tollmill daemon starts one.");
    return EXIT.ok;
  }
  const rows = all.map((daemon) => [daemon.id, daemon.name, stateOf(daemon), daemon.tier, daemon.payout]);
  terminal.out(table(["id", "name", "state", "tier", "payout"], rows));
  return EXIT.ok;
}

export async function showDaemon(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  const daemon = await callJson(await settingsOf(context, flags), `${PATH}/${checkedId(id)}`, wholeDaemon);
  show(context, flags, daemon);
  return EXIT.ok;
}

export async function drainDaemon(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  const daemon = await steer(context, id, "drain", flags);
  if (flags.json === true) return EXIT.ok;
  const running = daemon.connection?.running ?? 0;
  context.terminal.err(
    `${daemon.name} gets no new jobs until tollmill daemons resume ${id}. ${running === 0 ? "It runs none." : `It still runs ${running}.`}`,
  );
  return EXIT.ok;
}

export async function resumeDaemon(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  const daemon = await steer(context, id, "resume", flags);
  if (flags.json !== true) context.terminal.err(`${daemon.name} is not drained any more: ${stateOf(daemon)}.`);
  return EXIT.ok;
}

/** Makes a call that changes nothing when it comes twice. */
async function steer(context: Context, id: string, verb: string, flags: GlobalFlags): Promise<WholeDaemon> {
  const settings = await settingsOf(context, flags);
  const daemon = await callJson(settings, `${PATH}/${checkedId(id)}/${verb}`, wholeDaemon, { method: "POST" });
  if (flags.json === true) context.terminal.out(JSON.stringify(daemon));
  return daemon;
}

function show({ terminal }: Context, flags: GlobalFlags, daemon: WholeDaemon): void {
  if (flags.json === true) return terminal.out(JSON.stringify(daemon));
  const { connection } = daemon;
  const facts = [
    ["id", daemon.id],
    ["name", daemon.name],
    ["state", stateOf(daemon)],
    ["tier", daemon.tier],
    ["payout", daemon.payout],
    ...(connection === null ? [] : factsOf(connection)),
  ];
  const width = Math.max(...facts.map(([name = ""]) => name.length));
  for (const [name = "", value = ""] of facts) terminal.out(`${name.padEnd(width)}  ${value}`);
  if (connection === null || connection.models.length === 0) return undefined;
  const rows = connection.models.map(({ standing, ...model }) => [
    model.id,
    model.quantization,
    String(model.context),
    `${model.running} of ${model.slots}`,
    model.tokens_per_second.toFixed(1),
    model.loaded ? "yes" : "no",
    standing === null ? "" : standing.score.toFixed(2),
    textOf(standing),
  ]);
  const heads = ["model", "quantization", "context", "running", "tokens/s", "loaded", "score", "standing"];
  terminal.out(table(heads, rows, ["context", "tokens/s", "score"]));
  return undefined;
}

function factsOf({ draining_by, withdrawn_by, schedule, on_ac_power, thermal, running }: Connection): string[][] {
  return [
    ...(draining_by.length === 0 ? [] : [["drained by", draining_by.join(", ")]]),
    ...(withdrawn_by.length === 0 ? [] : [["withdrawn by", withdrawn_by.join(", ")]]),
    ["schedule", schedule ?? "always"],
    ["power", on_ac_power === null ? "unknown" : on_ac_power ? "AC" : "battery"],
    ["heat", thermal ?? "unknown"],
    ["running", String(running)],
  ];
}

/** What the daemon's jobs of a model have made of it. */
function textOf(standing: Standing): string {
  if (standing === null) return "unknown";
  const { quarantine, graduation } = standing;
  if (quarantine !== null) return `quarantine, ${quarantine.passed} of ${quarantine.of} probes passed`;
  return graduation.verified < graduation.of ? `newcomer, ${graduation.verified} of ${graduation.of} jobs` : "full";
}

function stateOf({ state, drained_at }: Daemon): string {
  return drained_at === null ? state : `${state}, drained since ${drained_at.slice(0, 16).replace("T", " ")} UTC`;
}

/** An id goes into a path, so nothing else may. */
function checkedId(id: string): string {
  if (parseDaemonId(id) !== null) return id;
  throw new Failure(EXIT.usage, `${id} is no daemon's id: tollmill daemons shows it.`);
}
