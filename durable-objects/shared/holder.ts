/** Who has a job's hold, and who takes what is owed: an account or a slice of it. */

import { type AccountId, type JobId, sliceOf } from "../../core/ids.ts";
import { accountOfSlice, sliceName } from "../../protocol/internal/names.ts";
import type { JobHolderRpc, SliceRpc } from "../../protocol/internal/slice.ts";
import type { Receiver } from "../account/outgoing.ts";

type Accounts = Pick<Env, "ACCOUNT" | "ACCOUNT_SLICE">;

/** A stub of the object that has a job's hold, which the job's id names. */
export function holderOf(env: Accounts, account: AccountId, job: JobId): JobHolderRpc {
  const slice = sliceOf(job);
  if (slice > 0) return sliceOfAccount(env, account, slice);
  return env.ACCOUNT.getByName(account);
}

/** A stub of one slice of an account. */
export function sliceOfAccount(env: Accounts, account: AccountId, slice: number): SliceRpc {
  return env.ACCOUNT_SLICE.getByName(sliceName(account, slice)) as unknown as SliceRpc;
}

/** A stub of who takes a transfer or a move, by the name that the outbox has. */
export function receiverOf(env: Accounts, name: string): Receiver {
  const { account, slice } = accountOfSlice(name);
  return slice === 0 ? env.ACCOUNT.getByName(account) : sliceOfAccount(env, account, slice);
}
