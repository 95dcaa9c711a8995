/** Enrolling a daemon's key at the account that provides it. */

import { createHash } from "node:crypto";
import { z } from "zod";
import type { Tier } from "../../protocol/daemon/messages.ts";
import { callJson } from "./api.ts";
import type { Settings } from "./settings.ts";

export interface Enrolment {
  readonly public_key: string;
  readonly name: string;
  readonly payout: "usdc" | "credits";
  readonly tier: Tier;
}

/** Enrols the key; to enrol it again changes nothing. Throws a Failure. */
export async function enrol(settings: Settings, enrolment: Enrolment): Promise<void> {
  // The key of the same enrolment is the same at every start, and another one's is another.
  const digest = createHash("sha256").update(JSON.stringify(enrolment)).digest("hex");
  const call = { method: "POST", body: enrolment, idempotencyKey: `enrol-${digest.slice(0, 32)}` } as const;
  await callJson(settings, "/api/v1/daemons", z.looseObject({}), call);
}
