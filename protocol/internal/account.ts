/** What other parts say to an `Account` object over RPC, and what it answers. Refusals are values. */

import type { Balance } from "../../core/account/balance.ts";
import type { HoldCommand, SoftStop } from "../../core/account/hold.ts";
import type { Backing, LotKind } from "../../core/account/lots.ts";
import type { Quota } from "../../core/account/quota.ts";
import type { Refusal } from "../../core/errors.ts";
import type { AccountId, JobId, KeyId } from "../../core/ids.ts";
import type { JobFacts } from "../../core/receipt/body.ts";
import type { Millicredits, NanoUsd } from "../../core/units.ts";

/** Who asks: the hash of an API key's secret. */
export interface Credentials {
  readonly secretHash: string;
}

/** What a hold needs beside {@link HoldCommand}; the key comes from the credentials. */
export type HoldRequest = Omit<HoldCommand, "key" | "peg"> & {
  readonly credentials: Credentials;
  /**
   * False for a job with a random id. Where the id carries the fingerprint of an Idempotency-Key: a name of this call, as
   * another call with the same key in the same millisecond has the same job id and must not be taken for a repetition.
   */
  readonly keyed: string | false;
};

export interface HeldTerms {
  readonly price: NanoUsd;
  readonly promptBound: number;
  readonly completionCap: number;
  readonly expiresAt: number;
  readonly held: Millicredits;
  readonly remaining: Millicredits;
  /** Whether unbacked credits pay for part of it: a provider may refuse such jobs (economics.md §3). */
  readonly unbacked: boolean;
}

export type HoldResult =
  | ({ readonly type: "held" } & HeldTerms)
  | { readonly type: "soft_stop"; readonly stop: SoftStop; readonly refusal: Refusal }
  | { readonly type: "refused"; readonly refusal: Refusal };

/** A hold's result with what is left of its key's quota; null where the key is none of the account's. */
export type HoldAnswer = HoldResult & { readonly quota: Quota | null };

export type PostResult =
  /** `body` is the receipt's canonical text; a repeated post gets the same one. */
  | { readonly type: "posted"; readonly body: string; readonly seq: number; readonly remaining: Millicredits }
  | { readonly type: "refused"; readonly reason: "voided" | "unknown_job" | "superseded" };

export type VoidResult =
  | { readonly type: "voided" }
  | { readonly type: "already_posted"; readonly body: string }
  /** A later attempt has the job. */
  | { readonly type: "superseded" }
  | { readonly type: "unknown_job" };

/** What an account knows of one of its jobs. */
export type JobRecord =
  | { readonly type: "open"; readonly model: string; readonly at: number; readonly expiresAt: number }
  | { readonly type: "posted"; readonly body: string; readonly at: number }
  | { readonly type: "voided" | "expired"; readonly reason: string; readonly at: number }
  | { readonly type: "refused"; readonly refusal: Refusal; readonly at: number }
  | { readonly type: "unknown" };

export interface CreditCommand {
  /** Made by the caller; the same id never credits twice. */
  readonly id: string;
  readonly kind: LotKind;
  readonly backing: Backing;
  /** nanoUSD for a backed lot, millicredits for an unbacked one. */
  readonly amount: number;
  readonly expiresAt: number | null;
  readonly memo: string;
}

export type CreditResult =
  | { readonly type: "credited"; readonly seq: number }
  | { readonly type: "refused"; readonly refusal: Refusal };

export interface KeyRecord {
  readonly id: KeyId;
  readonly name: string;
  readonly createdAt: number;
  readonly revokedAt: number | null;
  /** Jobs that it may begin in a minute; null for the network's own bound. */
  readonly requestsPerMinute: number | null;
}

export interface NewKey {
  readonly id: KeyId;
  readonly name: string;
  readonly secretHash: string;
  readonly requestsPerMinute?: number | null;
}

/** A chained entry of an account: a receipt, or a credit, void or expiry. `body` is its canonical text. */
export interface EntryRecord {
  readonly seq: number;
  readonly at: number;
  readonly type: string;
  readonly body: string;
}

export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

/** The RPC methods of an `Account` object. */
export interface AccountRpc {
  /** Makes the account with its first key; the same call again changes nothing. `starter` adds the starter balance. */
  open(command: { account: AccountId; key: NewKey; starter: boolean }): Promise<Answer<{ opened: boolean }>>;
  hold(request: HoldRequest): Promise<HoldAnswer>;
  /** Idempotent by (job, n). */
  post(facts: JobFacts): Promise<PostResult>;
  /** Ends a hold without a charge. `fence` is the attempt that says so; null for whoever owns the job between attempts. */
  void(job: JobId, reason: string, fence?: number | null): Promise<VoidResult>;
  /** The body of the receipt that ended a job, or null. Changes nothing. */
  receipt(job: JobId): Promise<string | null>;
  /**
   * A later attempt takes a job over: from now on an earlier one can neither post nor void it. False when the hold has
   * ended, and the attempt must not be made.
   */
  advance(job: JobId, fence: number): Promise<boolean>;
  credit(command: CreditCommand): Promise<CreditResult>;
  balance(credentials: Credentials): Promise<Answer<Balance>>;
  job(credentials: Credentials, job: JobId): Promise<Answer<JobRecord>>;
  /** Entries after `after`, oldest first. */
  entries(credentials: Credentials, after: number, limit: number): Promise<Answer<EntryRecord[]>>;
  keys(credentials: Credentials): Promise<Answer<KeyRecord[]>>;
  createKey(credentials: Credentials, key: NewKey): Promise<Answer<KeyRecord>>;
  revokeKey(credentials: Credentials, id: KeyId): Promise<Answer<KeyRecord>>;
}
