/** One job on its way: gateway → scheduler → relay (architecture.md, One job). */

import type { AuctionRecord } from "../../core/auction/record.ts";
import type { Refusal } from "../../core/errors.ts";
import type { AccountId, DaemonId, JobId, NetworkId, Pseudonym } from "../../core/ids.ts";
import type { Lane } from "../../core/lanes.ts";
import type { Quantization, Rate, Terms, Tokens } from "../../core/pricing.ts";
import type { NanoUsd } from "../../core/units.ts";
import type { AllotmentTerms, HeldTerms, QueueShare } from "./account.ts";

/** What a job asks of a daemon. */
export interface Needs {
  /** Each with the parameter of the request that asks for it, for the refusal. */
  readonly features: readonly { readonly feature: string; readonly param: string }[];
  readonly quantizations: readonly Quantization[] | null;
  /** Tokens of context: prompt bound and completion cap, at most what the catalog promises. */
  readonly context: number;
  /** Provider accounts or daemons. */
  readonly only: readonly string[] | null;
  readonly ignore: readonly string[];
}

/** The body of `scheduler.acquire`, an object fetch that waits for the job's turn. */
export interface AcquireRequest {
  readonly job: JobId;
  readonly account: AccountId;
  /** Null where the account's own daemons serve it: that is free, and in no lane. */
  readonly lane: Lane | null;
  /** The private network whose daemons alone may serve it; null in the open lanes. */
  readonly network: NetworkId | null;
  readonly model: string;
  readonly needs: Needs;
  /** The catalog's rate or the private network's, and the highest one that the job may be served at. */
  readonly rate: Rate;
  readonly maxRate: Rate;
  /** The most that the request itself names, in nanoUSD for 1,000 completion tokens; null where it names nothing. */
  readonly maxPrice: NanoUsd | null;
  /** Whether it runs in a slot that a package has reserved. */
  readonly reserved: boolean;
  readonly share: QueueShare;
  /** What bounds each payee's part of the allotment that pays for it. */
  readonly allotment: AllotmentTerms | null;
  readonly estimate: Tokens;
  /** Whether unbacked credits pay for part of it. */
  readonly unbacked: boolean;
  /** When the job's hold ends; a lease never outlives it. Milliseconds since 1970. */
  readonly holdExpiresAt: number;
  /** When the job was first queued, and until when it may wait; milliseconds since 1970. */
  readonly queuedAt: number;
  readonly waitUntil: number;
  /** Daemons that declined or failed this job before, or that run it. */
  readonly excluded: readonly DaemonId[];
  /**
   * The race that this attempt would run in, beside one that has shown nothing for too long; null where the job has no
   * attempt. It waits for no slot: one is free, or it is refused.
   */
  readonly beside: number | null;
  /** The fence of the job's last attempt, perhaps in another region: the grant's is greater. 0 where there was none. */
  readonly after: number;
}

/** The scheduler's grant of one job to one daemon. */
/** What of a slot that a package reserves is told of a job: since when it had it, if its time in queue counts. */
export interface Slot {
  readonly slotSince?: number;
}

export interface Grant extends Slot {
  readonly relay: string;
  readonly daemon: DaemonId;
  /** The daemon's account. */
  readonly provider: AccountId;
  readonly quantization: Quantization;
  readonly fence: number;
  readonly terms: Terms;
  readonly auction: {
    readonly asks: number;
    readonly winning_ask: NanoUsd | null;
    readonly second_ask: NanoUsd | null;
  };
  /** How it was decided, to be published with the receipt; null where no auction was held. */
  readonly record: AuctionRecord | null;
  readonly dispatchedAt: number;
  /** The relay takes the lease up before this, or not at all. */
  readonly leaseUntil: number;
}

export type AcquireResponse =
  | { readonly type: "granted"; readonly grant: Grant }
  | ({ readonly type: "refused"; readonly refusal: Refusal; readonly retryAfterSeconds: number | null } & Slot)
  /** It was given back with its hold, as its gateway had asked for. */
  | { readonly type: "released" };

/** The body of `relay.fetch`: a granted job with all that the relay needs to run and settle it. */
export interface RelayJob {
  readonly job: JobId;
  readonly account: AccountId;
  readonly consumer: Pseudonym;
  /** Null on an own device: nothing is held or posted. */
  readonly lane: Lane | null;
  readonly network: NetworkId | null;
  readonly model: string;
  readonly grant: Grant;
  /** The race that it runs in, by the fence with which that began; null for an attempt that runs alone. */
  readonly race: number | null;
  /** What bounds it. */
  readonly hold: Pick<HeldTerms, "promptBound" | "completionCap" | "expiresAt">;
  readonly queuedAt: number;
  /** When the job was first given to a daemon: moves do not extend its time (economics.md §6). */
  readonly firstDispatchedAt: number;
  readonly minBytesPerTokenHundredths: number;
  /** 16 bytes, hex. */
  readonly salt: string;
  readonly requestDigest: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly choices: number;
  /** How the consumer wants the answer. */
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/** What a relay answers instead of a stream. `move` says whether another daemon may be asked. */
export interface RelayRefusal {
  readonly refusal: Refusal;
  readonly move: boolean;
  /** The daemon had no slot left beside its jobs of other pools, which have heard of it now: no move is counted. */
  readonly busy?: boolean;
  /** Whether the relay has already ended the hold. */
  readonly resolved: boolean;
}

/** The header of a relay's answer that says what it is. */
export const RELAY_RESULT = "x-relay-result";

/** What is sealed into a ticket: enough to know a late claim by. */
export interface TicketContent {
  readonly job: JobId;
  readonly account: AccountId;
  readonly daemon: DaemonId;
  readonly fence: number;
  readonly model: string;
  readonly terms: Terms;
  /** There where the daemon's own account asked: then no account knows of the job. */
  readonly own?: true;
  readonly salt: string;
  /** When the hold ends; milliseconds since 1970. */
  readonly expiry: number;
  /** There on a probe, which has no hold; `account` is then its daemon's own. */
  readonly probe?: true;
}
