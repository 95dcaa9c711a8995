/** What a daemon needs of its machine: Node, a folder of its own, its key, and its claims on the way. */

import { access, constants, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DaemonId } from "../../core/ids.ts";
import { EXIT, Failure, systemCode } from "../failure.ts";
import { readIdentity } from "../identity/key-file.ts";
import { doubtful, type Finding, good, wrong } from "./finding.ts";

/** The oldest Node that runs TypeScript as it is. */
const NODE = { major: 22, minor: 18 };

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > NODE.major || (major === NODE.major && minor >= NODE.minor)) return good("node", `Node ${version}.`);
  const fix = `Install Node ${NODE.major}.${NODE.minor} or newer: https://nodejs.org`;
  return wrong("node", EXIT.usage, `Node ${version} is too old.`, fix);
}

/** Whether the daemon can write in its folder, or make it. */
export async function checkHome(home: string): Promise<Finding> {
  for (let folder = home; ; folder = dirname(folder)) {
    try {
      await access(folder, constants.W_OK | constants.X_OK);
      if (!(await stat(folder)).isDirectory()) throw new Error("not a folder");
      return good("home", folder === home ? `${home} can be written.` : `${home} can be made.`);
    } catch (error) {
      if (systemCode(error) === "ENOENT" && folder !== dirname(folder)) continue;
      const what = `${folder} cannot be written (${systemCode(error) ?? "it is not a folder"}).`;
      return wrong("home", EXIT.broken, what, "Change its owner or its mode, or choose another folder with --home.");
    }
  }
}

/** The daemon's id by its key file, and what is to be said of the file. Nothing is made or changed. */
export async function checkKeyFile(home: string): Promise<{ finding: Finding; daemon: DaemonId | null }> {
  const path = join(home, "daemon.pem");
  try {
    const identity = await readIdentity(path);
    if (identity === null) {
      const what = `There is no key in ${path} yet.`;
      return { finding: doubtful("key_file", what, "Start tollmill daemon: it makes one."), daemon: null };
    }
    const mode = (await stat(path)).mode & 0o777;
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      const what = `${path} can be read by others (mode ${mode.toString(8)}).`;
      return { finding: doubtful("key_file", what, `chmod 600 ${path}`), daemon: identity.id };
    }
    return { finding: good("key_file", `The key of ${identity.id}, for its owner's eyes only.`), daemon: identity.id };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { finding: wrong("key_file", error.exitCode, error.message, null), daemon: null };
  }
}

/** The claims that the network has not answered yet. */
export async function checkClaims(home: string): Promise<Finding> {
  const names = await readdir(join(home, "claims")).catch((): string[] => []);
  const waiting = names.filter((name) => name.endsWith(".json")).length;
  if (waiting === 0) return good("claims", "No claims wait for their receipts.");
  const what = `${waiting} ${waiting === 1 ? "claim waits for its receipt" : "claims wait for their receipts"}.`;
  return doubtful("claims", what, "Keep the daemon running: it sends them until the network has answered.");
}
