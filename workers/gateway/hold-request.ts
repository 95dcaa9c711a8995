/** What an account is asked to hold for a job. */

import type { JobId } from "../../core/ids.ts";
import { LANE_TABLE, LANES } from "../../core/lanes.ts";
import { HOLD_GRACE_MS, HOLD_SLA_MS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import type { HoldRequest } from "../../protocol/internal/account.ts";
import type { PreparedChat } from "./prepare.ts";

/** The request of a prepared call; `body` is the SHA-256 of its bytes, hex. */
export function holdRequest(
  { wish, model, promptBound, choices }: PreparedChat,
  job: JobId,
  { secretHash }: ApiKey,
  body: string,
  now: number,
  parameters: Parameters,
): HoldRequest {
  return {
    ...wish,
    job,
    keyed: false,
    credentials: { secretHash },
    model: model.id,
    body,
    promptBound,
    completionDefault: model.completion_default,
    choices,
    expiresAt: jobEnd(now, parameters),
  };
}

/** When a job that begins now is over at the latest, whatever its lane; milliseconds since 1970. */
export function jobEnd(now: number, parameters: Parameters): number {
  return now + longestWaitMs(parameters) + HOLD_SLA_MS + HOLD_GRACE_MS;
}

/** The longest time that a job may wait in any lane: a hold is made before its lane is known. */
function longestWaitMs(parameters: Parameters): number {
  return Math.max(...LANES.map((lane) => parameters[LANE_TABLE[lane].queueLimit]));
}
