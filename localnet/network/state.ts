/** What the local network keeps between runs: its secrets and its state, under `.tollmill/`, readable by its owner alone. */

import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const secretsShape = z.strictObject({ NETWORK_SEED: hex32, EDGE_KEY: hex32, ADMIN_KEY: z.string().min(8) });
export type Secrets = z.infer<typeof secretsShape>;

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
    if (known !== null) return known;
    throw new Error(`${file} is damaged. Run \`npm start -- --fresh\` to begin anew.`);
  }
  const made: Secrets = {
    NETWORK_SEED: randomBytes(32).toString("hex"),
    EDGE_KEY: randomBytes(32).toString("hex"),
    ADMIN_KEY: `admin_${randomBytes(24).toString("hex")}`,
  };
  await writePrivate(file, `${JSON.stringify(made, null, 2)}\n`);
  return made;
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
  readonly adminKey: string;
  readonly consumer: { readonly account: string; readonly apiKey: string };
  readonly provider: { readonly account: string; readonly apiKey: string; readonly daemon: string };
  readonly operator: { readonly adminKey: string };
  /** The local Solana; null while the network runs without one. */
  readonly solana: null;
}

export async function writeDevFile(folder: string, content: DevFile): Promise<void> {
  await writePrivate(join(folder, "dev.json"), `${JSON.stringify(content, null, 2)}\n`);
}

export async function writePrivate(file: string, text: string): Promise<void> {
  await rm(file, { force: true });
  await writeFile(file, text, { mode: 0o600 });
}
