/**
 * `tollmill receipts verify FILE|JOB`: checks a receipt here, on this machine: its bytes, both signatures, the price, the
 * parts, the split, and its place in the account's chain where the entry before it can be had.
 */

import { readFile } from "node:fs/promises";
import { z } from "zod";
import { GENESIS_HEAD } from "../../core/account/state.ts";
import { isId128 } from "../../core/ids.ts";
import { parseBase64url } from "../../core/keys.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import { hashText } from "../../core/receipt/canonical.ts";
import { logKeys } from "../../protocol/network/receipts.ts";
import { type SignedReceipt, verifyReceipt } from "../../protocol/receipt.ts";
import { EXIT, type ExitCode, Failure, systemCode } from "../failure.ts";
import { callJson } from "../network/api.ts";
import type { Settings } from "../network/settings.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";
import { readLedger } from "./ledger.ts";

export interface VerifyFlags extends GlobalFlags {
  readonly networkKey?: string;
  readonly offline?: boolean;
}

interface Line {
  readonly name: string;
  /** null: not checked, and why. */
  readonly ok: boolean | null;
  readonly detail: string;
}

/** Only the form of a file; what is in the strings is for the checks to judge. */
const signedReceipt = z.object({ body: z.string(), key: z.string(), signature: z.string() });
const MOST_CHARACTERS = 1_048_576;

/** Verifies and prints one line a check. Throws a Failure for input that is no receipt or a network that is away. */
export async function verify(context: Context, source: string, flags: VerifyFlags): Promise<ExitCode> {
  const settings = await settingsOf(context, flags);
  const isJob = isId128(source);
  if (isJob && flags.offline === true) {
    throw new Failure(
      EXIT.usage,
      `${source} is a job, whose receipt the network has. Leave --offline out, or name a file.`,
    );
  }
  const receipt = isJob
    ? await callJson(settings, `/api/v1/receipts/${source}`, signedReceipt)
    : parseReceipt(source, await readSource(context, source));
  const trusted = await networkKeys(settings, flags, isJob);
  const { checks, body } = verifyReceipt(receipt, chooseKey(receipt, trusted.keys));
  const lines: Line[] = checks.map((check) =>
    check.name === "network_signature" && check.ok && trusted.note !== null
      ? { ...check, detail: `${check.detail}; ${trusted.note}` }
      : check,
  );
  if (isJob && body !== null && body.job !== source)
    lines.push({ name: "job", ok: false, detail: `it is of job ${body.job}` });
  if (body !== null) lines.push(await checkChain(settings, body, receipt.body, flags));
  return report(context, flags, body, lines);
}

async function readSource(context: Context, source: string): Promise<string> {
  if (source === "-") return context.readStdin();
  try {
    return await readFile(source, "utf8");
  } catch (error) {
    throw new Failure(
      EXIT.usage,
      `${source} cannot be read (${systemCode(error) ?? "unknown"}), and it is no job id (22 letters and digits) either.`,
    );
  }
}

function parseReceipt(source: string, text: string): SignedReceipt {
  const form = 'JSON of the form {"body": "…", "key": "…", "signature": "…"}, as GET /api/v1/receipts/{job} gives it';
  try {
    if (text.length <= MOST_CHARACTERS) return signedReceipt.parse(JSON.parse(text));
  } catch {
    // Said below.
  }
  throw new Failure(EXIT.usage, `${source === "-" ? "The input" : source} is no receipt. Give ${form}.`);
}

export interface Trusted {
  /** Keys to trust, or null to take the receipt's own. */
  readonly keys: readonly string[] | null;
  /** What the check of the signature is worth, where that is less than one might think. */
  readonly note: string | null;
}

/** The keys that the network signs with: the one that a flag pins, else those that the network tells. Throws a Failure. */
export async function networkKeys(
  settings: Settings,
  flags: Pick<VerifyFlags, "networkKey" | "offline">,
  mustReach: boolean,
): Promise<Trusted> {
  if (flags.networkKey !== undefined) {
    if (parseBase64url(flags.networkKey, 32) === null) {
      throw new Failure(
        EXIT.usage,
        `--network-key ${flags.networkKey}: a key is 32 bytes in base64url, 43 characters long.`,
      );
    }
    return { keys: [flags.networkKey], note: null };
  }
  const unknown = "the key is the receipt's own: give --network-key to know whose it is";
  if (flags.offline === true) return { keys: null, note: unknown };
  try {
    const { keys } = await callJson(settings, "/api/v1/log/keys", logKeys);
    return { keys: keys.map(({ key }) => key), note: null };
  } catch (error) {
    if (mustReach || !(error instanceof Failure)) throw error;
    return { keys: null, note: `${unknown} (${settings.url} did not tell its keys)` };
  }
}

/** Keys of the past stay valid for what they signed; a receipt by none of them is held against the current one. */
export function chooseKey(receipt: SignedReceipt, keys: readonly string[] | null): string | undefined {
  if (keys === null) return undefined;
  return keys.includes(receipt.key) ? receipt.key : (keys[0] ?? "none");
}

async function checkChain(settings: Settings, body: ReceiptBody, text: string, flags: VerifyFlags): Promise<Line> {
  const name = "chain";
  if (body.seq === 1) {
    return { name, ok: body.previous === GENESIS_HEAD, detail: "it is the account's first entry" };
  }
  const unchecked = (why: string): Line => ({ name, ok: null, detail: `not checked: ${why}` });
  if (flags.offline === true) return unchecked("this needs the network, and --offline was given");
  if (settings.apiKey === null) return unchecked("this needs the account's API key (--api-key)");
  try {
    const [before, own] = await readLedger(settings, body.seq - 1, 2, body.slice ?? 0);
    if (before?.seq !== body.seq - 1) return unchecked(`the account of this API key has no entry ${body.seq - 1}`);
    // Another account has entries of the same numbers, and they say nothing about this receipt.
    if (own?.body !== text) return unchecked(`entry ${body.seq} of this API key's account is not this receipt`);
    const ok = hashText(before.body) === body.previous;
    return {
      name,
      ok,
      detail: ok ? `follows entry ${before.seq}` : `entry ${before.seq} has another hash than \`previous\``,
    };
  } catch (error) {
    if (error instanceof Failure) return unchecked(error.message);
    throw error;
  }
}

function report(context: Context, flags: VerifyFlags, body: ReceiptBody | null, lines: readonly Line[]): ExitCode {
  const { terminal } = context;
  const { colors } = terminal;
  const failed = lines.filter(({ ok }) => ok === false);
  const exit = failed.length === 0 ? EXIT.ok : EXIT.checkFailed;
  if (flags.json === true) {
    for (const line of lines) terminal.out(JSON.stringify({ check: line.name, ok: line.ok, detail: line.detail }));
    return exit;
  }
  for (const { name, ok, detail } of lines) {
    const mark = ok === null ? colors.yellow("–") : ok ? colors.green("✓") : colors.red("✗");
    terminal.out(`${mark} ${name.replaceAll("_", " ").padEnd(17)} ${detail}`);
  }
  const subject = body === null ? "The receipt" : `The receipt of job ${body.job}`;
  const skipped = lines.some(({ ok }) => ok === null) ? " What could not be checked is marked with –." : "";
  terminal.out(
    failed.length === 0
      ? `${subject} is valid.${skipped}`
      : `${subject} is NOT valid: ${failed.length} of ${lines.length} checks failed.`,
  );
  return exit;
}
