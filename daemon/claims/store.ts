/**
 * Claims on disk, one file each, until the network has acknowledged them. A claim is stored before it is sent, so that
 * neither a crash nor a lost connection takes away what was earned.
 */

import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Done, daemonMessage } from "../../protocol/daemon/messages.ts";
import { systemCode } from "../failure.ts";
import type { Log } from "../output/log.ts";
import { PART_SUFFIX, writeWholeFile } from "../whole-file.ts";

const SUFFIX = ".json";
const CORRUPT_FOLDER = "corrupt";
const PROBE_FILE = ".probe";
/** As long as a claim, so that a disk with a few bytes left does not pass. */
const PROBE = " ".repeat(4_096);

/** The writes that a full or broken disk refuses; injected so that a test can be that disk. */
export interface ClaimDisk {
  write(path: string, text: string): Promise<void>;
}

const realDisk: ClaimDisk = { write: writeWholeFile };

export class ClaimStore {
  readonly #folder: string;
  readonly #log: Log;
  readonly #disk: ClaimDisk;
  /** File name → claim: what is on disk. */
  readonly #claims = new Map<string, Done>();
  #writable = true;
  readonly #emptied: (() => void)[] = [];

  private constructor(folder: string, log: Log, disk: ClaimDisk) {
    this.#folder = folder;
    this.#log = log;
    this.#disk = disk;
  }

  /** Opens the folder and reads what is in it; a file that is no claim is moved aside. Throws when nothing can be written. */
  static async open(folder: string, log: Log, disk: ClaimDisk = realDisk): Promise<ClaimStore> {
    const store = new ClaimStore(folder, log, disk);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(folder)) {
      if (name.endsWith(SUFFIX)) await store.#load(name);
      else if (name.endsWith(PART_SUFFIX)) await rm(join(folder, name), { force: true });
    }
    await disk.write(join(folder, PROBE_FILE), PROBE);
    return store;
  }

  /** The claims that wait for an answer, oldest job first. */
  get waiting(): readonly Done[] {
    return [...this.#claims.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, claim]) => claim);
  }

  /** Whether a claim could be stored now. After a failed write the disk is tried again. */
  async canWrite(): Promise<boolean> {
    if (this.#writable) return true;
    try {
      await this.#disk.write(join(this.#folder, PROBE_FILE), PROBE);
      this.#writable = true;
    } catch {
      // Said when the write failed, and declined jobs say it again.
    }
    return this.#writable;
  }

  /** Stores a claim durably; false, with a line in the log, when that failed. */
  async put(claim: Done): Promise<boolean> {
    const name = nameOf(claim);
    try {
      await this.#disk.write(join(this.#folder, name), JSON.stringify(claim));
    } catch (error) {
      this.#writable = false;
      this.#log.error("claim_not_stored", { job: claim.job, folder: this.#folder, reason: systemCode(error) });
      return false;
    }
    this.#claims.set(name, claim);
    return true;
  }

  /** Forgets the claims of a job that was settled or refused, and gives them. */
  async remove(job: string): Promise<Done[]> {
    const removed = [...this.#claims].filter(([, claim]) => claim.job === job);
    for (const [name] of removed) {
      this.#claims.delete(name);
      await rm(join(this.#folder, name), { force: true }).catch((error: unknown) =>
        // It will be sent once more after a restart, which changes nothing.
        this.#log.warning("claim_not_removed", { job, reason: systemCode(error) }),
      );
    }
    if (this.#claims.size === 0) for (const resolve of this.#emptied.splice(0)) resolve();
    return removed.map(([, claim]) => claim);
  }

  /** Resolves when no claim waits for an answer. */
  async empty(): Promise<void> {
    if (this.#claims.size > 0) await new Promise<void>((resolve) => this.#emptied.push(resolve));
  }

  async #load(name: string): Promise<void> {
    const path = join(this.#folder, name);
    const claim = parseClaim(await readFile(path, "utf8"));
    if (claim !== null && nameOf(claim) === name) {
      this.#claims.set(name, claim);
      return;
    }
    const aside = join(this.#folder, CORRUPT_FOLDER);
    await mkdir(aside, { recursive: true });
    await rename(path, join(aside, name));
    this.#log.error("claim_corrupt", { file: name, moved_to: aside });
  }
}

/** A job can be claimed once for each fence. Job ids are base62, so the name is safe in every file system. */
function nameOf(claim: Done): string {
  return `${claim.job}-${claim.fence}${SUFFIX}`;
}

function parseClaim(text: string): Done | null {
  try {
    const message = daemonMessage.parse(JSON.parse(text));
    return message.type === "done" && message.stream === undefined ? message : null;
  } catch {
    return null;
  }
}
