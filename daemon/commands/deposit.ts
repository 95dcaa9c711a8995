/** `tollmill deposit`: asks to pay, shows the link and its QR code, and waits until it is credited. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { renderUnicodeCompact } from "uqr";
import type { z } from "zod";
import { PACKAGE_IDS, type PackageId } from "../../core/packages.ts";
import { payAnswer } from "../../protocol/local/faucet.ts";
import { depositIntentId, deposit as depositShape, packageList } from "../../protocol/network/deposits.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { readLocalSolana, type Settings } from "../network/settings.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export interface DepositFlags extends GlobalFlags {
  readonly id?: string;
  /** Pays from the faucet of the local chain. */
  readonly pay?: boolean;
  readonly rpc?: string;
  /** False for who only wants the link. */
  readonly wait?: boolean;
  readonly timeout: number;
}

type Deposit = z.infer<typeof depositShape>;

const PATH = "/api/v1/deposits";
const POLL_MS = 2_000;

/** Asks for a top-up of so many USD, or for a package by its name. */
export async function deposit(context: Context, what: string, flags: DepositFlags): Promise<ExitCode> {
  const { terminal } = context;
  const id = checkedId(flags.id ?? randomUUID());
  const settings = await settingsOf(context, flags);
  if (flags.id === undefined) terminal.err(`Asking under --id ${id}`);
  const body = isPackage(what) ? { id, kind: "package", package: what } : { id, kind: "topup", amount: what };
  const asked = await callJson(settings, PATH, depositShape, { method: "POST", body });
  if (flags.json !== true) show(context, asked);
  if (flags.pay === true && asked.state === "open") await payFromFaucet(context, asked, flags);
  if (flags.wait === false && flags.pay !== true) {
    if (flags.json === true) terminal.out(JSON.stringify(asked));
    return EXIT.ok;
  }
  const ended = await waitFor(settings, asked, flags.timeout);
  if (flags.json === true) terminal.out(JSON.stringify(ended));
  else for (const line of outcomeOf(ended)) terminal.out(line);
  if (ended.state === "credited") return EXIT.ok;
  if (flags.json !== true) terminal.err(`It is ${ended.state}. To go on waiting: tollmill deposit ${what} --id ${id}`);
  return EXIT.refused;
}

/** `tollmill packages`. */
export async function showPackages(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  const { data } = await callJson(await settingsOf(context, flags), "/api/v1/packages", packageList);
  if (flags.json === true) for (const offer of data) context.terminal.out(JSON.stringify(offer));
  else {
    const rows = data.map(({ id, price_usd, included_usd, slots, valid_days }) => [
      id,
      short(price_usd),
      short(included_usd),
      String(slots),
      String(valid_days),
    ]);
    const head = ["package", "USD", "usage in USD", "slots", "days"];
    context.terminal.out(table(head, rows, head.slice(1)));
  }
  return EXIT.ok;
}

function isPackage(what: string): what is PackageId {
  return PACKAGE_IDS.some((id) => id === what);
}

function show({ terminal }: Context, { amount_usd, solana_pay_url, expires_at }: Deposit): void {
  terminal.err(renderUnicodeCompact(solana_pay_url));
  terminal.err(`Pay ${short(amount_usd)} USDC on Solana until ${expires_at}:`);
  terminal.out(solana_pay_url);
}

async function payFromFaucet(context: Context, { solana_pay_url }: Deposit, flags: DepositFlags): Promise<void> {
  const url = flags.rpc === undefined ? await readLocalSolana(context) : new URL(flags.rpc).origin;
  const call = { method: "POST", body: { solana_pay_url } } as const;
  const { signature } = await callJson({ url, apiKey: null }, "/pay", payAnswer, call).catch((error: unknown) => {
    if (!(error instanceof Failure) || error.exitCode !== EXIT.unreachable) throw error;
    throw new Failure(EXIT.unreachable, `${url} is no local Solana, so --pay pays nothing. Start it with npm start.`);
  });
  context.terminal.err(`Paid from the faucet: ${url}/tx/${signature}`);
}

/** The deposit once something has become of it, or as it is when the time is over. */
async function waitFor(settings: Settings, asked: Deposit, timeoutSeconds: number): Promise<Deposit> {
  const until = Date.now() + timeoutSeconds * 1_000;
  for (let last = asked; ; ) {
    const isOver = last.state !== "open" && last.state !== "seen";
    if (isOver || Date.now() >= until) return last;
    await sleep(Math.min(POLL_MS, Math.max(until - Date.now(), 0)));
    last = await callJson(settings, `${PATH}/${asked.id}`, depositShape);
  }
}

/** What arrived, a line each. */
function outcomeOf({ payments }: Deposit): string[] {
  return payments.map(({ amount_usdc, state, kind, reason, seq, signature }) => {
    const what = state === "credited" ? `credited as ${kind} (entry ${seq})` : state;
    return `${short(amount_usdc)} USDC ${what}: ${reason}, ${signature}`;
  });
}

/** Without noughts at its end. */
function short(amount: string): string {
  return amount.replace(/\.?0+$/, "");
}

function checkedId(id: string): string {
  const parsed = depositIntentId.safeParse(id);
  if (parsed.success) return id;
  throw new Failure(EXIT.usage, `--id ${id}: a deposit's id ${parsed.error.issues[0]?.message ?? "is another"}.`);
}
