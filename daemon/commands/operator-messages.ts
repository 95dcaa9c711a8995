/** `tollmill admin messages`: what operators tell the people who run daemons. */

import { randomUUID } from "node:crypto";
import type { z } from "zod";
import type { Notice } from "../../protocol/daemon/messages.ts";
import {
  operatorMessageId,
  operatorMessagePage,
  operatorMessage as operatorMessageShape,
  sentOperatorMessage,
} from "../../protocol/network/operator-messages.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { readPages } from "../network/pages.ts";
import { table } from "../output/tables.ts";
import { type AdminFlags, adminSettingsOf, type Context } from "./context.ts";

type OperatorMessage = z.infer<typeof operatorMessageShape>;

const PATH = "/api/v1/admin/messages";

export interface SendMessageFlags extends AdminFlags {
  readonly level: Notice["level"];
  /** RFC 3339. */
  readonly until: string;
  readonly daemon?: string;
  readonly account?: string;
  readonly all?: boolean;
  readonly id?: string;
}

export async function listMessages(context: Context, flags: AdminFlags): Promise<ExitCode> {
  const { terminal } = context;
  const all = await readPages(await adminSettingsOf(context, flags), PATH, operatorMessagePage);
  if (flags.json === true) {
    for (const message of all) terminal.out(JSON.stringify(message));
    return EXIT.ok;
  }
  if (all.length === 0) {
    terminal.err("No message was sent.");
    return EXIT.ok;
  }
  const minute = (time: string): string => time.slice(0, 16).replace("T", " ");
  const rows = all.map((message) => [
    message.id,
    minute(message.sent_at),
    message.sent_by,
    audienceOf(message),
    message.withdrawn_at === null ? `until ${minute(message.until)}` : `withdrawn ${minute(message.withdrawn_at)}`,
    message.level,
    message.text,
  ]);
  terminal.out(table(["id", "sent (UTC)", "by", "to", "told (UTC)", "level", "text"], rows));
  return EXIT.ok;
}

export async function sendMessage(context: Context, text: string, flags: SendMessageFlags): Promise<ExitCode> {
  const { terminal } = context;
  const { level, until, daemon, account, all, id = randomUUID() } = flags;
  const to = {
    ...(daemon === undefined ? {} : { daemon }),
    ...(account === undefined ? {} : { account }),
    ...(all === true ? { all } : {}),
  };
  if (Object.keys(to).length !== 1) {
    throw new Failure(EXIT.usage, "Say whom it is for: --daemon ID, --account ID, or --all.");
  }
  const settings = await adminSettingsOf(context, flags);
  // Before the call: whoever does not see its answer sends the same again under this id, and daemons show it once.
  terminal.err(`Sending under --id ${checkedId(id)}: ${text}`);
  const call = { method: "POST", body: { id, level, text, ...to, until } } as const;
  const sent = await callJson(settings, PATH, sentOperatorMessage, call);
  if (flags.json === true) terminal.out(JSON.stringify(sent));
  else terminal.err(`${sent.told} connected daemons were told; those that connect until ${sent.until} will be.`);
  return EXIT.ok;
}

export async function withdrawMessage(context: Context, id: string, flags: AdminFlags): Promise<ExitCode> {
  const settings = await adminSettingsOf(context, flags);
  const withdrawn = await callJson(settings, `${PATH}/${checkedId(id)}`, operatorMessageShape, { method: "DELETE" });
  if (flags.json === true) context.terminal.out(JSON.stringify(withdrawn));
  else context.terminal.err(`Nobody is told ${id} any more; who was told has read it.`);
  return EXIT.ok;
}

function audienceOf({ daemon, account }: OperatorMessage): string {
  if (daemon !== null) return `daemon ${daemon}`;
  return account === null ? "all" : `account ${account}`;
}

function checkedId(id: string): string {
  const parsed = operatorMessageId.safeParse(id);
  if (parsed.success) return id;
  throw new Failure(EXIT.usage, `--id ${id}: a message's id ${parsed.error.issues[0]?.message ?? "is another"}.`);
}
