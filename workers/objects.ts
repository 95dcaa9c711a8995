/** The objects that the edge calls, by the names of protocol/internal/names.ts and the types of their RPC methods. */

import type { AccountId } from "../core/ids.ts";
import type { AccountRpc } from "../protocol/internal/account.ts";
import { schedulerName } from "../protocol/internal/names.ts";
import type { RelayRpc, SchedulerRpc } from "../protocol/internal/pool.ts";
import type { Config } from "./config.ts";

const TRIES = 3;
const BACKOFF_MS = 20;

/** An object that failed on the way, as the runtime describes it. */
interface ObjectFailure {
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
}

/**
 * Calls an object. A call that failed on the way is made again with a new stub, since every method is idempotent by an id
 * that its caller made; an overloaded object is left alone.
 */
async function call<Stub, Result>(stub: () => Stub, method: (stub: Stub) => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await method(stub());
    } catch (error) {
      const { retryable, overloaded } = error as ObjectFailure;
      if (retryable !== true || overloaded === true || attempt === TRIES) throw error;
      const waitMs = Math.random() * BACKOFF_MS * 2 ** attempt;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

/** Calls a method of an account: `onAccount(env, id, (account) => account.balance(credentials))`. */
export function onAccount<T>(env: Env, id: AccountId, method: (account: AccountRpc) => Promise<T>): Promise<T> {
  return call(() => env.ACCOUNT.getByName(id) as unknown as AccountRpc, method);
}

/** Calls a method of the scheduler of a model's pool in this region. */
export function onScheduler<T>(
  env: Env,
  config: Config,
  model: string,
  method: (scheduler: SchedulerRpc) => Promise<T>,
): Promise<T> {
  return call(() => env.SCHEDULER.getByName(schedulerName(config.region, model)) as unknown as SchedulerRpc, method);
}

/** Calls a method of a relay by its name. */
export function onRelay<T>(env: Env, name: string, method: (relay: RelayRpc) => Promise<T>): Promise<T> {
  return call(() => env.RELAY.getByName(name) as unknown as RelayRpc, method);
}
