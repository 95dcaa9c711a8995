/** What a prepared call asks of schedulers and relays: once its account holds it, or free on an own device. */

import type { AccountId, JobId } from "../../core/ids.ts";
import { LANE_TABLE } from "../../core/lanes.ts";
import { bytesToHex } from "../../core/receipt/canonical.ts";
import { firstTokenDeadlineMs } from "../../core/scheduler/first-token.ts";
import { sha256Hex } from "../../durable-objects/shared/hash.ts";
import type { HeldTerms } from "../../protocol/internal/account.ts";
import { engineRequest } from "../../protocol/openai/chat.ts";
import { pseudonymOf } from "../auth.ts";
import type { Config } from "../config.ts";
import { jobEnd } from "./hold-request.ts";
import type { JobToOpen } from "./open-job.ts";
import type { PreparedChat } from "./prepare.ts";

/** What bounds a job. */
type Bounds = Pick<HeldTerms, "promptBound" | "completionCap" | "expiresAt">;
/** What its account decided on it. */
type Terms = Pick<JobToOpen["acquire"], "lane" | "reserved" | "share" | "allotment" | "maxRate" | "unbacked">;

/** A job that its account holds. */
export function heldJob(
  config: Config,
  account: AccountId,
  job: JobId,
  prepared: PreparedChat,
  held: HeldTerms,
  body: Uint8Array<ArrayBuffer>,
  now: number,
): JobToOpen {
  const { lane, reserved, share, allotment, unbacked } = held;
  const maxRate = held.maxRate ?? prepared.wish.rate;
  const terms = { lane, reserved, share, allotment, maxRate, unbacked };
  const waitMs = config.parameters[LANE_TABLE[lane].queueLimit];
  return jobToOpen(config, account, job, prepared, held, terms, body, now, now + waitMs);
}

/** A job for its account's own daemons: in no lane, and free (economics.md §6). */
export function ownJob(
  config: Config,
  account: AccountId,
  job: JobId,
  prepared: PreparedChat,
  body: Uint8Array<ArrayBuffer>,
  now: number,
): JobToOpen {
  const { wish, model, promptBound } = prepared;
  const { parameters } = config;
  const completionCap = wish.completion ?? model.completion_default;
  const bounds = { promptBound, completionCap, expiresAt: jobEnd(now, parameters) };
  const share = { weight: 1, paying: false };
  const terms = { lane: null, reserved: false, share, allotment: null, maxRate: wish.rate, unbacked: false };
  return jobToOpen(config, account, job, prepared, bounds, terms, body, now, now + parameters.queueLimitMs);
}

function jobToOpen(
  config: Config,
  account: AccountId,
  job: JobId,
  { request, model, wish, maxPrice, network, needs, choices }: PreparedChat,
  hold: Bounds,
  terms: Terms,
  body: Uint8Array<ArrayBuffer>,
  now: number,
  waitUntil: number,
): JobToOpen {
  const { parameters } = config;
  const { promptBound, completionCap, expiresAt } = hold;
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return {
    account,
    // Who allows no fallbacks wants the first daemon or none.
    moves: request.provider?.allow_fallbacks === false ? 0 : parameters.movesPerJob,
    firstTokenMs: firstTokenDeadlineMs(model.parameters_in_millions, promptBound, parameters),
    acquire: {
      ...terms,
      job,
      account,
      network,
      model: model.id,
      needs: { ...needs, context: Math.min(promptBound + completionCap, model.context_length) },
      rate: wish.rate,
      maxPrice,
      estimate: { prompt: promptBound, completion: completionCap * choices },
      holdExpiresAt: expiresAt,
      queuedAt: now,
      waitUntil,
    },
    relay: {
      job,
      account,
      consumer: pseudonymOf(account, config),
      lane: terms.lane,
      network,
      model: model.id,
      hold: { promptBound, completionCap, expiresAt },
      queuedAt: now,
      minBytesPerTokenHundredths: model.min_bytes_per_token_hundredths,
      salt: bytesToHex(salt),
      requestDigest: sha256Hex(salt, body),
      request: engineRequest(request, model.id, completionCap),
      choices,
      stream: request.stream === true,
      includeUsage: request.stream_options?.include_usage === true,
    },
  };
}
