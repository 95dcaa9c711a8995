/**
 * Where a job waits for its turn: in the nearest pool of its model, or in another region's where that one has slots to spare
 * and this one has none, or nobody who could serve it. With one region, that is one call.
 */

import type { ErrorCode } from "../../core/errors.ts";
import { betterPool, poolsToAsk } from "../../core/scheduler/spill.ts";
import { schedulerStub } from "../../durable-objects/shared/places.ts";
import { within } from "../../durable-objects/shared/within.ts";
import type { AcquireRequest, AcquireResponse } from "../../protocol/internal/job.ts";
import { schedulerName } from "../../protocol/internal/names.ts";
import type { Config } from "../config.ts";
import { onScheduler } from "../objects.ts";
import { knownLoads, readLoads } from "./loads.ts";

/** How often a pool is asked that does not answer. */
const TRIES = 3;
/** How long a job waits before it is looked whether it could run elsewhere, and between two looks. */
const LOOK_MS = 1_000;
/** What a pool refuses because of who is there; another one may have somebody. */
const NOBODY_HERE: ReadonlySet<ErrorCode> = new Set(["no_provider", "no_bid", "unsupported_parameter"]);

export interface Acquired {
  /** Never `released`: a job that was given back has asked elsewhere. */
  readonly response: Exclude<AcquireResponse, { type: "released" }>;
  /** Whether a pool may have granted the job in a call whose answer was lost. */
  readonly repeated: boolean;
}

/** Asks for a daemon until a pool grants one or all refuse; the first refusal is told. Throws when the signal ends. */
export async function acquire(
  env: Env,
  config: Config,
  nearest: string,
  request: AcquireRequest,
  signal: AbortSignal,
): Promise<Acquired> {
  const asked = new Set<string>();
  const ways = { env, config, request, signal, asked };
  let loads = knownLoads(env, config, request.model);
  let refused: Acquired | null = null;
  let repeated = false;
  for (;;) {
    const region = poolsToAsk(nearest, loads).find((each) => !asked.has(each));
    if (region === undefined) break;
    const answer = await askAndLook(ways, region);
    repeated ||= answer.repeated;
    const { response } = answer;
    if (response.type === "granted") return { response, repeated };
    refused ??= { response, repeated };
    if (!NOBODY_HERE.has(response.refusal.code) || config.regions.length === 1) break;
    loads = await readLoads(env, config, request.model);
  }
  if (refused === null) throw new Error("a job has a region");
  return { ...refused, repeated };
}

interface Ways {
  readonly env: Env;
  readonly config: Config;
  readonly request: AcquireRequest;
  readonly signal: AbortSignal;
  /** The regions that have been asked; none is asked twice. */
  readonly asked: Set<string>;
}

/** Asks one pool, and while the job waits there, looks whether another one has slots to spare: then it goes there. */
async function askAndLook(ways: Ways, first: string): Promise<Acquired> {
  const { env, config, request, signal, asked } = ways;
  let region = first;
  let repeated = false;
  for (;;) {
    asked.add(region);
    const asking = askPool(env, region, request, signal);
    // What it throws is thrown where it is awaited.
    asking.catch(() => {});
    let better: string | null = null;
    for (;;) {
      const answer = config.regions.length === 1 ? await asking : await within(LOOK_MS, asking);
      if (answer !== null) {
        repeated ||= answer.repeated;
        if (answer.response.type !== "released") return { response: answer.response, repeated };
        break;
      }
      better = betterPool(region, await readLoads(env, config, request.model));
      if (better === null || asked.has(better)) continue;
      // It has been granted meanwhile where it does not wait any more.
      await onScheduler(env, region, request.model, (scheduler) => scheduler.release(request.job));
    }
    if (better === null) throw new Error("a job was released that nobody asked for");
    region = better;
  }
}

/** Asks one pool. A call that broke on the way is made again, with the same job id, until there were so many `tries`. */
export async function askPool(
  env: Env,
  region: string,
  request: AcquireRequest,
  signal: AbortSignal,
  tries = TRIES,
): Promise<{ response: AcquireResponse; repeated: boolean }> {
  const name = schedulerName(region, request.model);
  for (let tried = 1; ; tried++) {
    try {
      const response = await schedulerStub(env, name).fetch("https://scheduler/acquire", {
        method: "POST",
        body: JSON.stringify(request),
        signal,
      });
      return { response: await response.json<AcquireResponse>(), repeated: tried > 1 };
    } catch (error) {
      if (signal.aborted || tried === tries) throw error;
    }
  }
}
