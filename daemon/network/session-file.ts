/** Where this machine keeps its sessions: a file for each network, for its owner's eyes only. */

import { chmod, mkdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import envPaths from "env-paths";
import { z } from "zod";
import { EXIT, Failure, reasonOf, systemCode } from "../failure.ts";
import { writeWholeFile } from "../whole-file.ts";

const kept = z.object({
  url: z.string(),
  account: z.string(),
  access_token: z.string(),
  access_expires_at: z.iso.datetime(),
  refresh_token: z.string(),
  /** What names the calls that refresh it, so that nobody else can repeat them. */
  salt: z.string(),
});
export type KeptSession = z.infer<typeof kept>;

type Environment = Readonly<Record<string, string | undefined>>;

function pathOf(env: Environment, url: string): string {
  const folder = env["TOLLMILL_SESSIONS"];
  const home = folder === undefined || folder === "" ? envPaths("tollmill", { suffix: "" }).config : folder;
  return join(home, `session-${new URL(url).host.replace(/[^a-z0-9.-]/g, "_")}.json`);
}

/** The session with a network, or null. Throws a {@link Failure} for a file that is none. */
export async function readSession(env: Environment, url: string): Promise<KeptSession | null> {
  const path = pathOf(env, url);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return null;
    throw new Failure(EXIT.broken, `The session in ${path} cannot be read (${systemCode(error) ?? "unknown"}).`);
  }
  await restrict(path);
  let session: KeptSession;
  try {
    session = kept.parse(JSON.parse(text));
  } catch {
    throw new Failure(EXIT.usage, `${path} is not what tollmill login writes. Sign in again, or remove it.`);
  }
  // Another scheme of the same host is another network.
  return session.url === url ? session : null;
}

/** Keeps a session, whole or not at all. Throws a {@link Failure}. */
export async function writeSession(env: Environment, session: KeptSession): Promise<void> {
  const path = pathOf(env, session.url);
  try {
    await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
    await writeWholeFile(path, `${JSON.stringify(session)}\n`);
  } catch (error) {
    throw new Failure(EXIT.broken, `The session cannot be kept in ${path}: ${reasonOf(error)}.`);
  }
}

export async function removeSession(env: Environment, url: string): Promise<void> {
  await rm(pathOf(env, url), { force: true });
}

/** A file that others could read is closed to them; a file system without modes has none to change. */
async function restrict(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) await chmod(path, 0o600);
}
