/**
 * The objects that the edge calls, by the names of protocol/internal/names.ts and the types of their RPC methods. Every
 * method is idempotent by an id that its caller made, so a call that failed on the way is made again.
 */

import type { AccountId, JobId } from "../core/ids.ts";
import { holderOf, sliceOfAccount } from "../durable-objects/shared/holder.ts";
import { relayStub, schedulerStub } from "../durable-objects/shared/places.ts";
import { retrying } from "../durable-objects/shared/retry.ts";
import type { AccountRpc } from "../protocol/internal/account.ts";
import { schedulerName } from "../protocol/internal/names.ts";
import type { RelayRpc, SchedulerRpc } from "../protocol/internal/pool.ts";
import type { JobHolderRpc, SliceRpc } from "../protocol/internal/slice.ts";
import type { Config } from "./config.ts";

/** Calls a method of an account: `onAccount(env, id, (account) => account.balance(credentials))`. */
export function onAccount<T>(env: Env, id: AccountId, method: (account: AccountRpc) => Promise<T>): Promise<T> {
  return retrying(() => method(env.ACCOUNT.getByName(id) as unknown as AccountRpc));
}

/** Calls a method of whoever has a job's hold: its account, or the slice of it that the job's id names. */
export function onHolder<T>(
  env: Env,
  account: AccountId,
  job: JobId,
  method: (holder: JobHolderRpc) => Promise<T>,
): Promise<T> {
  return retrying(() => method(holderOf(env, account, job)));
}

/** Calls a method of one slice of an account. */
export function onSlice<T>(
  env: Env,
  account: AccountId,
  slice: number,
  method: (slice: SliceRpc) => Promise<T>,
): Promise<T> {
  return retrying(() => method(sliceOfAccount(env, account, slice)));
}

/** Calls a method of the scheduler of a model's pool in one region. */
export function onScheduler<T>(
  env: Env,
  region: string,
  model: string,
  method: (scheduler: SchedulerRpc) => Promise<T>,
): Promise<T> {
  const name = schedulerName(region, model);
  return retrying(() => method(schedulerStub(env, name) as unknown as SchedulerRpc));
}

/** Calls a method of the schedulers of a model's pools in every region. */
export async function onSchedulers<T>(
  env: Env,
  { regions }: Config,
  model: string,
  method: (scheduler: SchedulerRpc) => Promise<T>,
): Promise<T[]> {
  return await Promise.all(regions.map(({ name }) => onScheduler(env, name, model, method)));
}

/** Calls a method of a relay by its name. */
export function onRelay<T>(env: Env, name: string, method: (relay: RelayRpc) => Promise<T>): Promise<T> {
  return retrying(() => method(relayStub(env, name) as unknown as RelayRpc));
}
