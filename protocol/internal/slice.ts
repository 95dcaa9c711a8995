/** What an account and its slices say to each other, and gateways to slices (docs/decisions/0029). */

import type { Lot } from "../../core/account/lots.ts";
import type { JobId, KeyId } from "../../core/ids.ts";
import type { Millicredits } from "../../core/units.ts";
import type {
  AccountRpc,
  CreditResult,
  EntryRecord,
  HoldAnswer,
  HoldRequest,
  JobRecord,
  UsagePart,
  UsageQuery,
} from "./account.ts";
import type { Move } from "./move.ts";

/** A key that a slice may let in: only keys without a budget and without a bound of their own go there. */
export interface SliceKey {
  readonly id: KeyId;
  /** The hashes of its secrets, each with the time at which it is taken no more, or null. */
  readonly secrets: readonly { readonly hash: string; readonly until: number | null }[];
  readonly models: readonly string[] | null;
  readonly expiresAt: number | null;
}

/** A lease: until when the slice may begin jobs, for whom, and which. */
export interface Lease {
  /** Counts an account's leases upwards; a recall ends all up to one. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly keys: readonly SliceKey[];
  /** Whether only jobs that name `public` and allow paid credits run here, as the account has an allotment or a package. */
  readonly namedOnly: boolean;
  /** What the account has beside this slice, as far as it knew; to be shown, never to be spent. */
  readonly elsewhere: Millicredits;
  /** What comes with it, or null for nothing. */
  readonly move: Move | null;
}

/** What a slice has. */
export interface SliceReport {
  readonly lots: readonly Lot[];
  readonly openJobs: number;
  /** Jobs that it began since the last lease. */
  readonly begun: number;
}

/** A slice's answer to a hold. `elsewhere`: it may not decide this one, and has kept nothing of it; the account does. */
export type SliceHoldAnswer = HoldAnswer | { readonly type: "elsewhere" };

/** What whoever has a job's id calls to end it, at its account or at the slice that has its hold. */
export type JobHolderRpc = Pick<AccountRpc, "post" | "void" | "receipt" | "advance" | "reverse">;

/** The RPC methods of an `AccountSlice` object. */
export interface SliceRpc extends JobHolderRpc {
  hold(request: HoldRequest): Promise<SliceHoldAnswer>;
  /** Begins or renews a lease. One that was recalled before it came brings its money and nothing else. */
  lease(lease: Lease): Promise<SliceReport>;
  /** Takes parts of lots in, once for each id. */
  receive(move: Move): Promise<CreditResult>;
  /** Ends every lease up to a number and sends what is left back. Resolves when no job can begin under them any more. */
  recall(upTo: number): Promise<void>;
  report(): Promise<SliceReport>;
  job(job: JobId): Promise<JobRecord>;
  entries(after: number, limit: number): Promise<EntryRecord[]>;
  usage(query: UsageQuery): Promise<UsagePart>;
}
