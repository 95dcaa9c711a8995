/**
 * `tollmill keys`: the account's API keys. The text of a new one is all that goes to stdout, so that
 * `KEY=$(tollmill keys create ci)` works; it is shown once.
 */

import { randomUUID } from "node:crypto";
import type { z } from "zod";
import type { Reset } from "../../core/account/budget.ts";
import type { Scope } from "../../core/account/scopes.ts";
import { isId128 } from "../../core/ids.ts";
import { createdKey, keyList, keyRecord } from "../../protocol/network/account.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

type Key = z.infer<typeof keyRecord>;

const PATH = "/api/v1/keys";

export interface CreateKeyFlags extends GlobalFlags {
  readonly scope?: readonly Scope[];
  readonly model?: readonly string[];
  readonly budget?: string;
  readonly reset?: Reset;
  /** RFC 3339. */
  readonly expires?: string;
  readonly requestsPerMinute?: number;
  readonly member?: string;
}

export interface RotateKeyFlags extends GlobalFlags {
  readonly overlap?: number;
}

export async function listKeys(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  const { data } = await callJson(await settingsOf(context, flags), PATH, keyList);
  const { terminal } = context;
  if (flags.json === true) {
    for (const key of data) terminal.out(JSON.stringify(key));
    return EXIT.ok;
  }
  const rows = data.map((key) => [
    key.id,
    key.name,
    stateOf(key),
    key.scopes.join(" "),
    key.models === null ? "all" : key.models.join(" "),
    budgetOf(key),
  ]);
  terminal.out(table(["id", "name", "state", "scopes", "models", "budget in USD"], rows));
  return EXIT.ok;
}

export async function createKey(context: Context, name: string, flags: CreateKeyFlags): Promise<ExitCode> {
  const { scope, model, budget, reset, expires, requestsPerMinute, member } = flags;
  if (reset !== undefined && budget === undefined) {
    throw new Failure(EXIT.usage, "--reset says when a budget begins anew: give --budget too.");
  }
  const body = {
    name,
    ...(scope === undefined ? {} : { scopes: scope }),
    ...(model === undefined ? {} : { models: model }),
    ...(budget === undefined ? {} : { budget: { usd: budget, ...(reset === undefined ? {} : { reset }) } }),
    ...(expires === undefined ? {} : { expires_at: expires }),
    ...(requestsPerMinute === undefined ? {} : { requests_per_minute: requestsPerMinute }),
    ...(member === undefined ? {} : { member }),
  };
  return await showText(
    context,
    flags,
    PATH,
    body,
    (key) => `Key ${key.id} (${key.name}) for ${key.scopes.join(", ")}.`,
  );
}

export async function rotateKey(context: Context, id: string, flags: RotateKeyFlags): Promise<ExitCode> {
  const body = flags.overlap === undefined ? {} : { overlap_seconds: flags.overlap };
  return await showText(context, flags, `${PATH}/${checkedId(id)}/rotate`, body, (key) => {
    const until = key.old_secret_until === null ? "is not taken any more" : `is taken until ${key.old_secret_until}`;
    return `Key ${key.id} (${key.name}) has a new text; the old one ${until}.`;
  });
}

export async function revokeKey(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  const settings = await settingsOf(context, flags);
  const key = await callJson(settings, `${PATH}/${checkedId(id)}`, keyRecord, { method: "DELETE" });
  if (flags.json === true) context.terminal.out(JSON.stringify(key));
  else context.terminal.err(`Key ${key.id} (${key.name}) is revoked for good.`);
  return EXIT.ok;
}

/** Makes a call that gives a key's text, and shows it: alone on stdout, or with its record as JSON. */
async function showText(
  context: Context,
  flags: GlobalFlags,
  path: string,
  body: object,
  said: (key: Key) => string,
): Promise<ExitCode> {
  const call = { method: "POST", body, idempotencyKey: randomUUID() } as const;
  const made = await callJson(await settingsOf(context, flags), path, createdKey, call);
  const { terminal } = context;
  if (flags.json === true) {
    terminal.out(JSON.stringify(made));
    return EXIT.ok;
  }
  // The id was made for this call alone, so a network without a text has answered an earlier try of it.
  if (made.key === null) throw new Failure(EXIT.refused, made.notice ?? "The network did not show the key's text.");
  terminal.err(`${said(made)} Its text is shown this once:`);
  terminal.out(made.key);
  return EXIT.ok;
}

/** An id goes into a path, so nothing else may. */
function checkedId(id: string): string {
  if (isId128(id)) return id;
  throw new Failure(EXIT.usage, `${id} is no key id: it has 22 letters and digits, and tollmill keys shows it.`);
}

function stateOf({ revoked_at, expires_at }: Key): string {
  if (revoked_at !== null) return `revoked ${revoked_at.slice(0, 10)}`;
  if (expires_at === null) return "active";
  return `${Date.parse(expires_at) <= Date.now() ? "expired" : "expires"} ${expires_at.slice(0, 16)}`;
}

function budgetOf({ budget }: Key): string {
  if (budget === null) return "none";
  const held = Number(budget.held_usd) === 0 ? "" : `, ${budget.held_usd} held`;
  return `${budget.spent_usd} of ${budget.usd}${budget.reset === "never" ? "" : ` ${budget.reset}`}${held}`;
}
