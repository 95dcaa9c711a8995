/** `tollmill networks`: private networks and their rates. What a program may want goes to stdout, what is said of it to stderr. */

import { randomUUID } from "node:crypto";
import { isId128 } from "../../core/ids.ts";
import {
  networkList,
  networkMemberList,
  type PrivateNetwork,
  privateNetwork,
} from "../../protocol/network/private-networks.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import type { RateFlags } from "../flags.ts";
import { callJson } from "../network/api.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

const PATH = "/api/v1/networks";

export interface CreateFlags extends GlobalFlags {
  readonly rate: RateFlags;
  readonly id?: string;
}

export interface RatesFlags extends GlobalFlags {
  readonly rate: RateFlags;
  readonly drop: readonly string[];
  readonly name?: string;
}

/** The path of a network. The id goes into it, so nothing else may. */
export function networkPath(id: string): string {
  if (isId128(id)) return `${PATH}/${id}`;
  const detail = "it has 22 letters and digits, and tollmill networks shows it.";
  throw new Failure(EXIT.usage, `${id} is no network's id: ${detail}`);
}

export async function listNetworks(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  const { data } = await callJson(await settingsOf(context, flags), PATH, networkList);
  const { terminal } = context;
  if (flags.json === true) {
    for (const network of data) terminal.out(JSON.stringify(network));
    return EXIT.ok;
  }
  const rows = data.map(({ id, name, admin, rates }) => [
    id,
    name,
    admin ? "admin" : "member",
    Object.keys(rates).sort().join(" "),
  ]);
  terminal.out(table(["id", "name", "you are", "models"], rows));
  return EXIT.ok;
}

export async function showNetwork(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  const settings = await settingsOf(context, flags);
  const network = await callJson(settings, networkPath(id), privateNetwork);
  const { data: members } = await callJson(settings, `${networkPath(id)}/members`, networkMemberList);
  const { terminal } = context;
  if (flags.json === true) {
    terminal.out(JSON.stringify({ ...network, members }));
    return EXIT.ok;
  }
  terminal.out(`${network.name}, since ${network.created_at.slice(0, 10)}\n`);
  terminal.out(ratesTable(network));
  const rows = members.map((member) => [
    member.id,
    member.name ?? "",
    [member.admin ? "admin" : "member", ...(member.you ? ["(you)"] : [])].join(" "),
    member.joined_at.slice(0, 16),
  ]);
  terminal.out(`\n${table(["member", "name", "is", "since"], rows)}`);
  return EXIT.ok;
}

function ratesTable({ rates }: PrivateNetwork): string {
  const rows = Object.entries(rates).map(([model, { prompt, completion }]) => [model, prompt, completion]);
  const amounts = ["USD / 1,000 prompt tokens", "USD / 1,000 completion tokens"];
  return table(["model", ...amounts], rows, amounts);
}

export async function createNetwork(context: Context, name: string, flags: CreateFlags): Promise<ExitCode> {
  const body = { name, rates: Object.fromEntries(flags.rate) };
  const call = { method: "POST", body, idempotencyKey: flags.id ?? randomUUID() } as const;
  const made = await callJson(await settingsOf(context, flags), PATH, privateNetwork, call);
  const { terminal } = context;
  if (flags.json === true) terminal.out(JSON.stringify(made));
  else {
    terminal.err(`The network ${made.name} is there, and you are its admin. Its id:`);
    terminal.out(made.id);
  }
  return EXIT.ok;
}

export async function changeRates(context: Context, id: string, flags: RatesFlags): Promise<ExitCode> {
  const { rate, drop, name } = flags;
  if (rate.size === 0 && drop.length === 0 && name === undefined) {
    throw new Failure(
      EXIT.usage,
      "Nothing would change: give --rate MODEL=PROMPT/COMPLETION, --drop MODEL or --name NAME.",
    );
  }
  const rates = Object.fromEntries([...rate, ...drop.map((model) => [model, null] as const)]);
  const call = { method: "PATCH", body: { rates, ...(name === undefined ? {} : { name }) } } as const;
  const changed = await callJson(await settingsOf(context, flags), networkPath(id), privateNetwork, call);
  const { terminal } = context;
  if (flags.json === true) terminal.out(JSON.stringify(changed));
  else {
    terminal.err("Jobs that begin in five seconds and later have these rates:");
    terminal.out(ratesTable(changed));
  }
  return EXIT.ok;
}

export async function closeNetwork(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  const settings = await settingsOf(context, flags);
  const closed = await callJson(settings, networkPath(id), privateNetwork, { method: "DELETE" });
  if (flags.json === true) context.terminal.out(JSON.stringify(closed));
  else context.terminal.err(`The network ${closed.name} is closed for good. Jobs that run end as they would.`);
  return EXIT.ok;
}
