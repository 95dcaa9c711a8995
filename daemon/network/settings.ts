/** Which network a command talks to, and with which key. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { EXIT, Failure, systemCode } from "../failure.ts";

export interface Settings {
  readonly url: string;
  readonly apiKey: string | null;
}

export interface SettingsSources {
  readonly flags: { readonly url?: string | undefined; readonly apiKey?: string | undefined };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly folder: string;
}

const DEFAULT_URL = "http://127.0.0.1:8787";
/** What `npm start` writes for the network that it runs. */
const DEV_FILE = join(".tollmill", "dev.json");
const dev = z.object({ url: z.string(), apiKey: z.string() });

/** Flags go before the environment, and that before the local network of the current folder. */
export async function readSettings({ flags, env, folder }: SettingsSources): Promise<Settings> {
  const named = flags.url ?? nonEmpty(env["TOLLMILL_URL"]);
  const key = flags.apiKey ?? nonEmpty(env["TOLLMILL_API_KEY"]) ?? null;
  if (named !== undefined && key !== null) return { url: checkedUrl(named), apiKey: checkedKey(key) };
  const local = await readDev(join(folder, DEV_FILE));
  const url = checkedUrl(named ?? local?.url ?? DEFAULT_URL);
  // The local network's key is of no use to another network, and none of its business.
  const localKey = local !== null && checkedUrl(local.url) === url ? local.apiKey : null;
  return { url, apiKey: key === null ? localKey : checkedKey(key) };
}

async function readDev(path: string): Promise<z.infer<typeof dev> | null> {
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
  if (!/^tm_[0-9A-Za-z]+$/.test(key)) {
    throw new Failure(
      EXIT.usage,
      "--api-key: an API key begins with tm_ and has only letters and digits. Copy it whole.",
    );
  }
  return key;
}

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);
