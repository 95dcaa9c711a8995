/** Which network a command talks to, and with which key. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { EXIT, Failure, systemCode } from "../failure.ts";

export interface Settings {
  readonly url: string;
  /** What is sent as the bearer token: an account's key, or an operator's. */
  readonly apiKey: string | null;
}

export interface SettingsSources {
  readonly flags: {
    readonly url?: string | undefined;
    readonly apiKey?: string | undefined;
    /** An operator's. */
    readonly key?: string | undefined;
  };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly folder: string;
  /** The access token of this machine's session with a network, or null; asked where nothing else names a key. */
  readonly sessionOf?: (url: string) => Promise<string | null>;
}

const DEFAULT_URL = "http://127.0.0.1:8787";
const DEFAULT_SOLANA = "http://127.0.0.1:8899";
/** What `npm start` writes for the network that it runs. */
const DEV_FILE = join(".tollmill", "dev.json");
const dev = z.object({
  url: z.string(),
  apiKey: z.string(),
  adminKey: z.string().optional(),
  solana: z.object({ rpc: z.string() }).nullish(),
});
type Dev = z.infer<typeof dev>;

/**
 * Flags go before the environment, that before a session with the network, and that before the local network of the current
 * folder.
 */
export async function readSettings(sources: SettingsSources): Promise<Settings> {
  const key = sources.flags.apiKey ?? nonEmpty(sources.env["TOLLMILL_API_KEY"]);
  return await choose(sources, key === undefined ? null : checkedKey(key), ({ apiKey }) => apiKey);
}

/** The same with an operator's key, without which the commands of operators ask nothing. */
export async function readAdminSettings(sources: SettingsSources): Promise<Settings> {
  const { sessionOf: _, ...own } = sources;
  const key = sources.flags.key ?? nonEmpty(sources.env["TOLLMILL_ADMIN_KEY"]);
  const checked = key === undefined ? null : checkedAdminKey(key);
  const settings = await choose(own, checked, ({ adminKey }) => adminKey ?? null);
  if (settings.apiKey !== null) return settings;
  throw new Failure(EXIT.usage, "An operator's key is missing. Give it with --key or TOLLMILL_ADMIN_KEY.");
}

/** Where the local Solana of the current folder is, or would be. */
export async function readLocalSolana({ folder }: { readonly folder: string }): Promise<string> {
  return (await readDev(join(folder, DEV_FILE)))?.solana?.rpc ?? DEFAULT_SOLANA;
}

async function choose(
  { flags, env, folder, sessionOf }: SettingsSources,
  key: string | null,
  keyOf: (local: Dev) => string | null,
): Promise<Settings> {
  const named = flags.url ?? nonEmpty(env["TOLLMILL_URL"]);
  if (named !== undefined && key !== null) return { url: checkedUrl(named), apiKey: key };
  const local = await readDev(join(folder, DEV_FILE));
  const url = checkedUrl(named ?? local?.url ?? DEFAULT_URL);
  const ownKey = key ?? (await sessionOf?.(url)) ?? null;
  // The local network's key is of no use to another network, and none of its business.
  const localKey = local !== null && checkedUrl(local.url) === url ? keyOf(local) : null;
  return { url, apiKey: ownKey ?? localKey };
}

async function readDev(path: string): Promise<Dev | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return null;
    throw new Failure(
      EXIT.usage,
      `${path} cannot be read (${systemCode(error) ?? "unknown"}). Give --url and --api-key.`,
    );
  }
  try {
    return dev.parse(JSON.parse(text));
  } catch {
    throw new Failure(
      EXIT.usage,
      `${path} is not what \`npm start\` writes. Start it again, or give --url and --api-key.`,
    );
  }
}

/** The origin of a URL; paths are the API's own. */
function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new Failure(EXIT.usage, `--url ${text}: this is no http or https URL, such as ${DEFAULT_URL}.`);
  }
  return url.origin;
}

function checkedKey(key: string): string {
  // The key itself is never repeated: terminals and logs keep what they show.
  if (!/^tms?_[0-9A-Za-z]+$/.test(key)) {
    throw new Failure(
      EXIT.usage,
      "--api-key: an API key begins with tm_ and has only letters and digits. Copy it whole.",
    );
  }
  return key;
}

function checkedAdminKey(key: string): string {
  if (!/^[!-9;-~]{8,}$/.test(key)) {
    throw new Failure(
      EXIT.usage,
      "--key: an operator's key has 8 or more visible characters and no colon. Copy what stands behind the name.",
    );
  }
  return key;
}

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);
