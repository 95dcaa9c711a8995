/** What the local network keeps between runs: its secrets and its state, under `.tollmill/`, readable by its owner alone. */

import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { SolanaEntry } from "./solana.ts";

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const adminKey = z.string().min(8);
const secretsShape = z.strictObject({
  NETWORK_SEED: hex32,
  EDGE_KEY: hex32,
  ADMIN_KEY: adminKey,
  /** Networks from before there were two operators have none; they get it when they start again. */
  SECOND_ADMIN_KEY: adminKey.default(newAdminKey),
});
export type Secrets = z.infer<typeof secretsShape>;

function newAdminKey(): string {
  return `admin_${randomBytes(24).toString("hex")}`;
}

/** Makes the folder, empty when `fresh`. */
export async function openFolder(folder: string, fresh: boolean): Promise<void> {
  if (fresh) await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

/** The network's secrets: those of the run before, or new ones. They never leave the folder. */
export async function loadSecrets(folder: string): Promise<Secrets> {
  const file = join(folder, "secrets.json");
  const text = await readFile(file, "utf8").catch(() => null);
  if (text !== null) {
    const known = parseSecrets(text);
    if (known !== null) return await keep(file, known, text);
    throw new Error(`${file} is damaged. Run \`npm start -- --fresh\` to begin anew.`);
  }
  const made: Secrets = {
    NETWORK_SEED: randomBytes(32).toString("hex"),
    EDGE_KEY: randomBytes(32).toString("hex"),
    ADMIN_KEY: newAdminKey(),
    SECOND_ADMIN_KEY: newAdminKey(),
  };
  return await keep(file, made);
}

/** Writes the secrets, unless the file says the same already. */
async function keep(file: string, secrets: Secrets, before: string | null = null): Promise<Secrets> {
  const text = `${JSON.stringify(secrets, null, 2)}\n`;
  if (text !== before) await writePrivate(file, text);
  return secrets;
}

/** The secrets as the edge is given them: its operators are `admin` and `second`. */
export function edgeSecrets({ ADMIN_KEY, SECOND_ADMIN_KEY, ...others }: Secrets): Record<string, string> {
  return { ...others, ADMIN_KEY: `admin:${ADMIN_KEY} second:${SECOND_ADMIN_KEY}` };
}

function parseSecrets(text: string): Secrets | null {
  try {
    return secretsShape.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** What programs read to use the local network (interfaces.md §5). */
export interface DevFile {
  readonly url: string;
  readonly apiKey: string;
  /** Of the operator `admin`. */
  readonly adminKey: string;
  /** Of the operator `second`: a reversal needs both. */
  readonly secondAdminKey: string;
  readonly consumer: { readonly account: string; readonly apiKey: string };
  readonly provider: { readonly account: string; readonly apiKey: string; readonly daemon: string };
  readonly operator: { readonly adminKey: string };
  /** The local Solana; null on a machine that litesvm is not built for. */
  readonly solana: SolanaEntry | null;
}

export async function writeDevFile(folder: string, content: DevFile): Promise<void> {
  await writePrivate(join(folder, "dev.json"), `${JSON.stringify(content, null, 2)}\n`);
}

export async function writePrivate(file: string, text: string): Promise<void> {
  await rm(file, { force: true });
  await writeFile(file, text, { mode: 0o600 });
}
