/**
 * A disk that is full for one process alone, without a mount and without rights: Linux bounds the size of the files that a
 * process writes (RLIMIT_FSIZE), and prlimit changes the bound while it runs. A write beyond it fails with EFBIG, after the
 * bytes that still had room; Node ignores the signal that comes with it.
 */

import { execFileSync } from "node:child_process";
import type { NodeProcess } from "./children.ts";

/** Room for a few bytes, as a full disk often has: less than any claim. */
const FULL = "--fsize=256:";
const EMPTY = "--fsize=unlimited:";

/** Starts a process on a full disk. */
export const ON_FULL_DISK = ["prlimit", FULL] as const;

export function fillDisk({ child }: NodeProcess): void {
  execFileSync("prlimit", ["--pid", String(child.pid), FULL]);
}

export function makeRoom({ child }: NodeProcess): void {
  execFileSync("prlimit", ["--pid", String(child.pid), EMPTY]);
}
