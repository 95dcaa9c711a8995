/** Files that are there whole or not at all, whatever fills the disk or ends the process meanwhile. */

import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** What a file is called, after its name, until it is whole. One that is left belonged to a process that was killed. */
export const PART_SUFFIX = ".part";

/**
 * Writes a file durably, for its owner's eyes only: under another name until every byte is on disk. A disk that takes only
 * some of them is an error like one that takes none, and nothing is left of it.
 */
export async function writeWholeFile(path: string, text: string): Promise<void> {
  const part = `${path}.${randomBytes(6).toString("hex")}${PART_SUFFIX}`;
  try {
    const file = await open(part, "wx", 0o600);
    try {
      // Goes on after a short write, as a nearly full disk makes it, until all is written or the disk says no.
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncFolder(dirname(path));
}

/** A new file is durable once its folder's entry is; where folders cannot be synced the rename has to do. */
async function syncFolder(folder: string): Promise<void> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(folder, "r");
  } catch {
    return;
  }
  try {
    await handle.sync();
  } catch {
    // Windows and some network file systems refuse this.
  } finally {
    await handle.close();
  }
}
