/**
 * From a hold to a stream: acquire a daemon, hand the job to its relay, and move on to another daemon when the first one
 * declined or failed before its first token (economics.md §6). Whoever has the job ends its hold; what comes back here
 * unresolved is ended here.
 */

import { type Refusal, refuse } from "../../core/errors.ts";
import type { AccountId, DaemonId, JobId } from "../../core/ids.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import type { AcquireRequest, AcquireResponse, Grant, RelayJob, RelayRefusal } from "../../protocol/internal/job.ts";
import { RELAY_RESULT } from "../../protocol/internal/job.ts";
import { schedulerName } from "../../protocol/internal/names.ts";
import type { Config } from "../config.ts";
import { onHolder, onRelay } from "../objects.ts";

/** Calls of an object that broke on the way are made again with the same job id. */
const TRIES = 3;

export type Opened =
  /** The relay's answer, to be passed on untouched. */
  | { readonly type: "answer"; readonly response: Response; readonly grant: Grant }
  | {
      readonly type: "refused";
      readonly refusal: Refusal;
      readonly retryAfterSeconds: number | null;
      /** The last grant, if there was one. */
      readonly grant: Grant | null;
    };

export interface JobToOpen {
  readonly acquire: Omit<AcquireRequest, "excluded">;
  readonly relay: Omit<RelayJob, "grant" | "firstDispatchedAt">;
  readonly account: AccountId;
  /** How often it may move to another daemon before its first token. */
  readonly moves: number;
}

/**
 * Opens a job. Never throws; an error on the way becomes a refusal. When the consumer goes away the request ends at once,
 * so the caller has to keep this alive: it returns only when a relay has the job, or its hold is released.
 */
export async function openJob(env: Env, config: Config, job: JobToOpen, signal: AbortSignal): Promise<Opened> {
  const excluded: DaemonId[] = [];
  let firstDispatchedAt: number | null = null;
  let grant: Grant | null = null;
  /** The grant whose relay may have the job, and with it the hold. */
  let relayed: Grant | null = null;
  try {
    for (let [moves, grants] = [0, 0]; ; moves++, grants++) {
      signal.throwIfAborted();
      const { response: acquired, tries } = await acquire(env, config, { ...job.acquire, excluded }, signal);
      if (acquired.type === "refused") {
        // A job that had a daemon and lost it says so, rather than that nobody else is there.
        const refusal = excluded.length > 0 ? refuse("provider_failed") : acquired.refusal;
        const { retryAfterSeconds, slotSince } = acquired;
        return await giveUp(env, job, { refusal, retryAfterSeconds, grant }, slotSince);
      }
      grant = acquired.grant;
      firstDispatchedAt ??= grant.dispatchedAt;
      if ((grants > 0 || tries > 1) && !(await takeOver(env, job, grant.fence))) {
        return { type: "refused", refusal: refuse("job_expired"), retryAfterSeconds: null, grant };
      }
      signal.throwIfAborted();
      relayed = grant;
      const response = await relay(env, { ...job.relay, grant, firstDispatchedAt }, signal);
      if (response.headers.get(RELAY_RESULT) !== "refused") return { type: "answer", response, grant };
      const { refusal, move, busy = false, resolved } = await response.json<RelayRefusal>();
      if (resolved) return { type: "refused", refusal, retryAfterSeconds: null, grant };
      relayed = null;
      if (busy) {
        moves -= 1;
        continue;
      }
      if (!move || moves >= job.moves) return await giveUp(env, job, { refusal, retryAfterSeconds: null, grant });
      excluded.push(grant.daemon);
    }
  } catch (error) {
    const left = signal.aborted;
    const refused = { refusal: refuse(left ? "cancelled" : "internal_error"), retryAfterSeconds: null, grant };
    if (!left) emitError("job_failed", error, { job: job.acquire.job });
    if (left && relayed !== null && (await stop(env, relayed, job))) return { type: "refused", ...refused };
    return await giveUp(env, job, refused);
  }
}

/**
 * Stops a job at a relay, which then charges what it has served. False when the relay does not have it: it had just given
 * it back, or never got it.
 */
async function stop(env: Env, { relay: name }: Grant, { acquire: { job } }: JobToOpen): Promise<boolean> {
  // A relay that cannot be asked may have it; what it has lost, its daemon or the scheduler brings to an end.
  return await onRelay(env, name, (object) => object.cancel(job)).catch(() => true);
}

/** Tells the account that an earlier attempt, which may still be alive somewhere, has no say any more. */
async function takeOver(env: Env, job: JobToOpen, fence: number): Promise<boolean> {
  return await onHolder(env, job.account, job.acquire.job, (holder) => holder.advance(job.acquire.job, fence));
}

async function giveUp(
  env: Env,
  job: JobToOpen,
  refused: Omit<Extract<Opened, { type: "refused" }>, "type">,
  slotSince?: number,
): Promise<Opened> {
  const { code } = refused.refusal;
  await releaseHold(env, job.account, job.acquire.job, code === "cancelled" ? "consumer_gone" : code, slotSince);
  return { type: "refused", ...refused };
}

/** Ends the hold of a job that nobody has. `slotSince` is since when it waited in a reserved slot, if it did. */
export async function releaseHold(
  env: Env,
  account: AccountId,
  job: JobId,
  reason: string,
  slotSince: number | null = null,
): Promise<void> {
  await onHolder(env, account, job, (holder) => holder.void(job, reason, null, slotSince)).catch(
    // The hold then ends by its own time; nothing is charged either way.
    (error: unknown) => emitError("void_failed", error, { job }),
  );
}

async function acquire(
  env: Env,
  config: Config,
  request: AcquireRequest,
  signal: AbortSignal,
): Promise<{ response: AcquireResponse; tries: number }> {
  const name = schedulerName(config.region, request.model);
  for (let tries = 1; ; tries++) {
    try {
      const response = await env.SCHEDULER.getByName(name).fetch("https://scheduler/acquire", {
        method: "POST",
        body: JSON.stringify(request),
        signal,
      });
      return { response: await response.json<AcquireResponse>(), tries };
    } catch (error) {
      if (signal.aborted || tries === TRIES) throw error;
    }
  }
}

/** A relay that breaks before it answers has shown the consumer nothing, so the job may move on. */
async function relay(env: Env, job: RelayJob, signal: AbortSignal): Promise<Response> {
  try {
    return await env.RELAY.getByName(job.grant.relay).fetch("https://relay/job", {
      method: "POST",
      body: JSON.stringify(job),
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    emitError("relay_failed", error, { job: job.job, relay: job.grant.relay });
    const refusal: RelayRefusal = { refusal: refuse("provider_failed"), move: true, resolved: false };
    return Response.json(refusal, { status: 409, headers: { [RELAY_RESULT]: "refused" } });
  }
}
