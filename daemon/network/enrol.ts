/** Enrolling a daemon's key at the account that provides it. */

import { createHash } from "node:crypto";
import { backOff } from "exponential-backoff";
import { z } from "zod";
import type { Tier } from "../../protocol/daemon/messages.ts";
import { EXIT, Failure } from "../failure.ts";
import type { Log } from "../output/log.ts";
import { callJson } from "./api.ts";
import type { Settings } from "./settings.ts";

export interface Enrolment {
  readonly public_key: string;
  readonly name: string;
  readonly payout: "usdc" | "credits";
  readonly tier: Tier;
}

const LONGEST_PAUSE_MS = 30_000;

/**
 * Enrols the key; to enrol it again changes nothing. A network that is away is waited for, as a machine may start before
 * its connection is up. Throws a {@link Failure} when the network says no.
 */
export async function enrol(settings: Settings, enrolment: Enrolment, log: Log): Promise<void> {
  // The key of the same enrolment is the same at every start, and another one's is another.
  const digest = createHash("sha256").update(JSON.stringify(enrolment)).digest("hex");
  const call = { method: "POST", body: enrolment, idempotencyKey: `enrol-${digest.slice(0, 32)}` } as const;
  await backOff(() => callJson(settings, "/api/v1/daemons", z.looseObject({}), call), {
    jitter: "full",
    startingDelay: 500,
    maxDelay: LONGEST_PAUSE_MS,
    numOfAttempts: Number.POSITIVE_INFINITY,
    retry: (error: unknown, attempt) => {
      if (!(error instanceof Failure) || error.exitCode !== EXIT.unreachable) return false;
      log.warning("enrol_failed", { reason: error.message, attempt });
      return true;
    },
  });
}
