/** What `tollmill doctor` found: each finding says what is so, and what to do where it should be otherwise. */

import type { ExitCode } from "../failure.ts";

/** The checks, in the order in which they are made. Programs match on them. */
export type Check =
  | "node"
  | "home"
  | "key_file"
  | "claims"
  | "network"
  | "clock"
  | "api_key"
  | "engine"
  | "models"
  | "speed"
  | "price"
  | "enrolled"
  | "connected"
  | "state"
  | "jobs";

export interface Finding {
  readonly check: Check;
  /** `error`: the daemon gets no jobs, or is not paid for them, while this is so. */
  readonly level: "ok" | "warning" | "error";
  readonly what: string;
  /** What to do; null where nothing is. */
  readonly fix: string | null;
  /** What the command ends with if this is its first error. */
  readonly exit: ExitCode;
}

export const good = (check: Check, what: string): Finding => ({ check, level: "ok", what, fix: null, exit: 0 });

export const doubtful = (check: Check, what: string, fix: string): Finding => ({
  check,
  level: "warning",
  what,
  fix,
  exit: 0,
});

export const wrong = (check: Check, exit: ExitCode, what: string, fix: string | null): Finding => ({
  check,
  level: "error",
  what,
  fix,
  exit,
});
