/** What other parts say to an `Account` object over RPC, and what it answers. Refusals are values. */

import type { Balance } from "../../core/account/balance.ts";
import type { Budget } from "../../core/account/budget.ts";
import type { HoldCommand, SoftStop } from "../../core/account/hold.ts";
import type { Backing, LotKind } from "../../core/account/lots.ts";
import type { Quota } from "../../core/account/quota.ts";
import type { Scope } from "../../core/account/scopes.ts";
import type { ServiceLevel } from "../../core/account/service-level.ts";
import type { Slots } from "../../core/account/slots.ts";
import type { Usage, UsageBy } from "../../core/account/usage.ts";
import type { Refusal } from "../../core/errors.ts";
import type { AccountId, JobId, KeyId, MemberId } from "../../core/ids.ts";
import type { Lane } from "../../core/lanes.ts";
import type { Rate } from "../../core/pricing.ts";
import type { JobFacts } from "../../core/receipt/body.ts";
import type { Millicredits, NanoUsd } from "../../core/units.ts";
import type { Answer, Credentials } from "./answer.ts";
import type { Move } from "./move.ts";
import type { SessionRpc } from "./session.ts";
import type { TeamRpc } from "./team.ts";

export type { Answer, Credentials } from "./answer.ts";

/** What a hold needs beside {@link HoldCommand}; the key comes from the credentials, `allowPaid` is the request's own. */
export type HoldRequest = Omit<HoldCommand, "key" | "peg"> & {
  readonly credentials: Credentials;
  /**
   * False for a job with a random id. Where the id carries the fingerprint of an Idempotency-Key: a name of this call, as
   * another call with the same key in the same millisecond has the same job id and must not be taken for a repetition.
   */
  readonly keyed: string | false;
};

export interface HeldTerms {
  /** The lane that the account chose, unless the request named it. */
  readonly lane: Lane;
  /** Whether it runs in a slot that a package has reserved. */
  readonly reserved: boolean;
  readonly share: QueueShare;
  /** The highest rate that it may be served at; null for the catalog's. */
  readonly maxRate: Rate | null;
  /** What bounds each payee's part of the allotment that pays for it; null where no allotment does. */
  readonly allotment: AllotmentTerms | null;
  readonly price: NanoUsd;
  readonly promptBound: number;
  readonly completionCap: number;
  readonly expiresAt: number;
  readonly held: Millicredits;
  readonly remaining: Millicredits;
  /** Whether unbacked credits pay for part of it: a provider may refuse such jobs (economics.md §3). */
  readonly unbacked: boolean;
}

/** An account's place in a lane's queue (economics.md §8). */
export interface QueueShare {
  /** What it weighs: its allotment in `included`, its reserved slots in `dedicated`, else 1. */
  readonly weight: number;
  /** Whether it has ever paid: those that have not share one place in `public`. */
  readonly paying: boolean;
}

/** Today's allotment and who has earned of it at least the part that one payee may always have (economics.md §3). */
export interface AllotmentTerms {
  readonly granted: NanoUsd;
  readonly paid: readonly (readonly [payee: string, nanoUsd: NanoUsd])[];
}

export type HoldResult =
  | ({ readonly type: "held" } & HeldTerms)
  | { readonly type: "soft_stop"; readonly stop: SoftStop; readonly refusal: Refusal }
  | { readonly type: "refused"; readonly refusal: Refusal };

/** What a hold would come to: also where the balance does not cover it. */
export type EstimateResult =
  | {
      readonly type: "estimated";
      readonly lane: Lane;
      /** Whether it would run in a slot that a package has reserved. */
      readonly reserved: boolean;
      /** The slots that count in that lane; null where none do. */
      readonly slots: Slots | null;
      readonly completionCap: number;
      readonly price: NanoUsd;
      /** What is missing of it; null where the balance covers it. */
      readonly stop: SoftStop | null;
    }
  | { readonly type: "refused"; readonly refusal: Refusal };

/** Whether a key may begin a job that is free, with what is left of its quota; null where the key is none of the account's. */
export interface Admission {
  readonly refusal: Refusal | null;
  readonly quota: Quota | null;
}

/** A hold's result with what is left of its key's quota; null where the key is none of the account's. */
export type HoldAnswer = HoldResult & { readonly quota: Quota | null; readonly slices?: SliceHint };

/** An account above what one object can commit: until a time its slices 1 to `count` may be asked for a hold as well. */
export interface SliceHint {
  readonly count: number;
  readonly until: number;
}

export type PostResult =
  /** `body` is the receipt's canonical text; a repeated post gets the same one. */
  | { readonly type: "posted"; readonly body: string; readonly seq: number; readonly remaining: Millicredits }
  | { readonly type: "refused"; readonly reason: "voided" | "unknown_job" | "superseded" };

/** Takes the receipt of a job back, whole and once. `by` are the two operators, or the check that failed. */
export interface ReverseCommand {
  readonly job: JobId;
  readonly reason: string;
  readonly by: readonly string[];
}

export type ReverseResult =
  /** A repeated call gets the same one. */
  | { readonly type: "reversed"; readonly body: string; readonly seq: number }
  | { readonly type: "refused"; readonly refusal: Refusal };

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
  /** Jobs that may run on it at once; only allotments and packages have a number. */
  readonly concurrency?: number;
}

export type CreditResult =
  | { readonly type: "credited"; readonly seq: number }
  | { readonly type: "refused"; readonly refusal: Refusal };

/** What one account tells another that it has sent. Idempotent by sender and id. */
export interface Transfer {
  readonly id: string;
  readonly from: AccountId;
  readonly millicredits: Millicredits;
  readonly memo: string;
}

export interface SendCommand {
  /** Made by the caller; the same id never sends twice. */
  readonly id: string;
  /** The account that sends, which its object knows by its name alone. */
  readonly from: AccountId;
  readonly to: AccountId;
  readonly millicredits: Millicredits;
  readonly memo: string;
}

export type SendResult =
  /** `delivered` says whether the other account has confirmed; until it has, its own object is asked again and again. */
  | { readonly type: "sent"; readonly seq: number; readonly delivered: boolean }
  | { readonly type: "refused"; readonly refusal: Refusal };

/** What a key's owner decides. */
export interface KeySettings {
  readonly name: string;
  /** Jobs that it may begin in a minute; null for the network's own bound. */
  readonly requestsPerMinute: number | null;
  readonly scopes: readonly Scope[];
  /** The models that it may use; null for all. */
  readonly models: readonly string[] | null;
  /** Milliseconds since 1970, or null for a key that stays. */
  readonly expiresAt: number | null;
  readonly budget: Budget | null;
}

export interface KeyRecord extends KeySettings {
  readonly id: KeyId;
  /** Whose it is: its scopes never go beyond that member's role. */
  readonly member: MemberId;
  readonly createdAt: number;
  readonly revokedAt: number | null;
  readonly rotatedAt: number | null;
}

/** A key as its account's owner sees it. */
export interface KeyView extends KeyRecord {
  /** Until when the secret from before the last rotation is taken; null when it is not any more. */
  readonly oldUntil: number | null;
  /** What its jobs cost since its budget's last reset (or ever), and what open ones have reserved. */
  readonly spent: NanoUsd;
  readonly held: NanoUsd;
}

export interface NewKey extends Partial<KeySettings> {
  readonly id: KeyId;
  readonly name: string;
  readonly secretHash: string;
  /** Whose key it becomes; the member's own that asks, unless an owner names another one. */
  readonly member?: MemberId;
}

/** A new secret for a key. `id` names the call; the secret before is taken for a while longer. */
export interface Rotation {
  readonly id: string;
  readonly secretHash: string;
  readonly overlapMs: number;
}

/** A chained entry of an account: a receipt, or a credit, void or expiry. `body` is its canonical text. */
export interface EntryRecord {
  readonly seq: number;
  readonly at: number;
  readonly type: string;
  readonly body: string;
}

export interface UsageQuery {
  readonly by: UsageBy;
  /** Milliseconds since 1970; entries from then on, and before `to` where it is named. */
  readonly from: number;
  readonly to: number | null;
  /** The sequence number to go on with; null to begin. */
  readonly cursor: number | null;
}

export interface UsagePart {
  readonly groups: readonly (readonly [group: string, usage: Usage])[];
  /** The names of keys, where they are the groups. */
  readonly names: readonly (readonly [id: string, name: string])[];
  readonly next: number | null;
}

/** What was measured of a day, against what was promised, and what followed. */
export interface ServiceDay extends ServiceLevel {
  readonly targetMs: number;
  readonly missed: boolean;
  /** Until when the package lasts now that lasts longest of those that were extended; null where none was. */
  readonly extendedUntil: number | null;
  /** The entry that extended packages. */
  readonly seq: number | null;
}

/** The RPC methods of an `Account` object. */
export interface AccountRpc extends TeamRpc, SessionRpc {
  /** Makes the account with its first key; the same call again changes nothing. `starter` adds the starter balance. */
  open(command: { account: AccountId; key: NewKey; starter: boolean }): Promise<Answer<{ opened: boolean }>>;
  hold(request: HoldRequest): Promise<HoldAnswer>;
  /** Lets a job for the account's own devices begin. Nothing is reserved or stored; the key's quota counts it. */
  admit(credentials: Credentials, model: string): Promise<Admission>;
  /** What `hold` would decide now. Nothing is reserved, counted or stored. */
  estimate(request: HoldRequest): Promise<EstimateResult>;
  /** Idempotent by (job, n). */
  post(facts: JobFacts): Promise<PostResult>;
  /**
   * Ends a hold without a charge. `fence` is the attempt that says so; null for whoever owns the job between attempts.
   * `slotSince` is since when the job waited in a reserved slot, if it did.
   */
  void(job: JobId, reason: string, fence?: number | null, slotSince?: number | null): Promise<VoidResult>;
  /** The body of the receipt that ended a job, or of the one that took that back; or null. Changes nothing. */
  receipt(job: JobId, which?: "receipt" | "reversal"): Promise<string | null>;
  /**
   * An attempt takes a job over: from now on an earlier one can neither post nor void it, and no other one post it. False
   * when the hold has ended, and the attempt must not be made.
   */
  advance(job: JobId, fence: number): Promise<boolean>;
  credit(command: CreditCommand): Promise<CreditResult>;
  /** Idempotent by the job: a receipt is taken back once. */
  reverse(command: ReverseCommand): Promise<ReverseResult>;
  /** Sends credits to another account. Debited at once; credited there exactly once, whatever breaks in between. */
  send(credentials: Credentials, command: SendCommand): Promise<SendResult>;
  /** Whether the account exists and could take so much more. */
  canReceive(millicredits: Millicredits): Promise<Answer<null>>;
  receive(transfer: Transfer | Move): Promise<CreditResult>;
  balance(credentials: Credentials): Promise<Answer<Balance>>;
  /** For a key that has one of the scopes. */
  job(credentials: Credentials, job: JobId, scopes: readonly Scope[]): Promise<Answer<JobRecord>>;
  /** Entries of the account's own chain, or of one slice's, after `after`, oldest first. */
  entries(credentials: Credentials, after: number, limit: number, slice?: number): Promise<Answer<EntryRecord[]>>;
  /** Those of some entries that there are, for whoever checks the network's books. */
  audit(seqs: readonly number[]): Promise<EntryRecord[]>;
  /** Sums of the jobs in a bounded stretch of entries, and where the next one begins. */
  usage(credentials: Credentials, query: UsageQuery): Promise<Answer<UsagePart>>;
  /** How long jobs in reserved slots waited, by days from one on (an epoch's number); only days of `dedicated` that are over. */
  serviceLevels(credentials: Credentials, from: number): Promise<Answer<ServiceDay[]>>;
  /** Whether a key counts, and may do something; for callers that ask nothing else of the account. */
  check(credentials: Credentials, scope: Scope | null): Promise<Answer<null>>;
  keys(credentials: Credentials): Promise<Answer<KeyView[]>>;
  /** Idempotent by the key's id. */
  createKey(credentials: Credentials, key: NewKey): Promise<Answer<KeyView>>;
  updateKey(credentials: Credentials, id: KeyId, changes: Partial<KeySettings>): Promise<Answer<KeyView>>;
  /** Idempotent by the rotation's id. */
  rotateKey(credentials: Credentials, id: KeyId, rotation: Rotation): Promise<Answer<KeyView>>;
  /** Also a key without `manage` may revoke itself. */
  revokeKey(credentials: Credentials, id: KeyId): Promise<Answer<KeyView>>;
}
