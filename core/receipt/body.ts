/** The receipt: the network's record of one job, and the only thing that moves money (interfaces.md §4). */

import type { Charge } from "../account/resolve.ts";
import type { Hold, Link } from "../account/state.ts";
import type { DaemonId, JobId, Pseudonym } from "../ids.ts";
import type { Lane } from "../lanes.ts";
import type { Outcome } from "../outcome.ts";
import { floorPerThousand, perThousand, type Quantization, type Terms, type Tokens } from "../pricing.ts";
import { type ChargePart, type Payees, type SplitLine, splitCharge } from "../split.ts";
import { type Millicredits, type NanoUsd, sum, toMillicreditsCeil } from "../units.ts";
import { canonicalText, signedBytes } from "./canonical.ts";
import type { ClaimCheck } from "./checks.ts";
import type { Digests } from "./claim.ts";

export const RECEIPT_VERSION = "tollmill/receipt/v1";

/** What the relay knows of a job when it ends: all of a receipt but what the account fixes. */
export interface JobFacts {
  readonly network: string;
  readonly job: JobId;
  readonly n: number;
  readonly outcome: Outcome;
  readonly lane: Lane;
  readonly model: string;
  readonly quantization: Quantization;
  readonly consumer: Pseudonym;
  /** The providing account. */
  readonly provider: string;
  readonly daemon: DaemonId;
  readonly fence: number;
  /** Billed tokens, and the completion tokens that were relayed. */
  readonly usage: Tokens & { readonly relayed: number };
  /** Milliseconds since 1970. */
  readonly times: {
    readonly queued: number;
    readonly dispatched: number;
    readonly first_token: number | null;
    readonly completed: number;
  };
  /**
   * Since when the job had a slot that a package reserves, in milliseconds since 1970; absent where it had none, or where its
   * request says who may serve it. Its time in queue from then on counts for the service level (economics.md §10).
   */
  readonly reserved?: number;
  readonly terms: Terms;
  readonly auction: {
    readonly asks: number;
    readonly winning_ask: NanoUsd | null;
    readonly second_ask: NanoUsd | null;
  };
  readonly digest: Digests;
  /** What the daemon claimed, with its signature in base64url; null when it sent no claim. */
  readonly claim: { readonly usage: Tokens; readonly signature: string } | null;
  /** The check that the daemon's claim failed, where it failed one; receipts of before this was told leave it out. */
  readonly failed_check?: ClaimCheck;
  readonly payees: Payees;
}

export interface ReceiptBody extends Omit<JobFacts, "terms" | "auction" | "payees"> {
  readonly v: typeof RECEIPT_VERSION;
  readonly price: {
    readonly terms: Terms;
    readonly nano_usd_per_1k: NanoUsd;
    readonly floor: NanoUsd | null;
    /** The job's hold: the charge never exceeds it. */
    readonly hold: NanoUsd;
    readonly asks: number;
    readonly winning_ask: NanoUsd | null;
    readonly second_ask: NanoUsd | null;
  };
  readonly charge: {
    readonly nano_usd: NanoUsd;
    /** The whole charge in credits: what unbacked lots gave, and the backed part at the peg, rounded up. */
    readonly millicredits: Millicredits;
    readonly peg: { readonly millicredits: number; readonly nano_usd: number };
    readonly peg_epoch: number;
    readonly parts: readonly ChargePart[];
  };
  readonly split: readonly SplitLine[];
  readonly seq: number;
  readonly previous: string;
  /** The slice of the account whose chain this stands in; absent in the account's own. */
  readonly slice?: number;
  /** Only in a receipt that takes another one back: which, and who says so (economics.md §6). */
  readonly reversal?: Reversal;
}

export interface Reversal {
  /** SHA-256 of the body that is taken back, hex. */
  readonly of: string;
  readonly reason: string;
  /** The two operators, or the check that failed. */
  readonly by: readonly string[];
}

/**
 * The body of a job's receipt: what the relay saw, what the account drew, and its place in the account's chain.
 * `previous` is the link before it.
 */
export function composeReceipt(facts: JobFacts, hold: Hold | undefined, charge: Charge, previous: Link): ReceiptBody {
  const { terms, auction, digest, claim, times, usage } = facts;
  const backed = sum(charge.parts.filter((part) => part.backing === "usdc").map((part) => part.nano_usd));
  const unbacked = sum(charge.parts.map((part) => part.millicredits));
  // Every key stands in the order of RFC 8785, so that the text needs no sorting.
  return {
    charge: {
      millicredits: (unbacked + toMillicreditsCeil(backed, charge.peg)) as Millicredits,
      nano_usd: charge.nanoUsd,
      parts: charge.parts,
      peg: { millicredits: charge.peg.millicredits, nano_usd: charge.peg.nanoUsd },
      peg_epoch: 0,
    },
    claim: claim && { signature: claim.signature, usage: inOrder(claim.usage) },
    consumer: facts.consumer,
    daemon: facts.daemon,
    digest: { request: digest.request, response: digest.response, salt: digest.salt },
    ...(facts.failed_check === undefined ? {} : { failed_check: facts.failed_check }),
    fence: facts.fence,
    job: facts.job,
    lane: facts.lane,
    model: facts.model,
    n: facts.n,
    network: facts.network,
    outcome: facts.outcome,
    previous: previous.head,
    price: {
      asks: auction.asks,
      floor: terms.floor === null ? null : floorPerThousand(terms.floor),
      hold: hold?.price ?? (0 as NanoUsd),
      nano_usd_per_1k: perThousand(terms.rate),
      second_ask: auction.second_ask,
      terms: {
        floor: terms.floor && {
          decode_millitokens_per_second: terms.floor.decode_millitokens_per_second,
          nano_usd_per_kwh: terms.floor.nano_usd_per_kwh,
          prefill_millitokens_per_second: terms.floor.prefill_millitokens_per_second,
          watts: terms.floor.watts,
        },
        rate: { completion: terms.rate.completion, per: terms.rate.per, prompt: terms.rate.prompt },
      },
      winning_ask: auction.winning_ask,
    },
    provider: facts.provider,
    quantization: facts.quantization,
    ...(facts.reserved === undefined ? {} : { reserved: facts.reserved }),
    seq: previous.seq + 1,
    ...sliceIn(previous),
    split: splitCharge(facts.lane, charge.parts, facts.payees),
    times: {
      completed: times.completed,
      dispatched: times.dispatched,
      first_token: times.first_token,
      queued: times.queued,
    },
    usage: { ...inOrder(usage), relayed: usage.relayed },
    v: RECEIPT_VERSION,
  };
}

/**
 * The body of a receipt that takes another one back: the same job with the next number and every amount turned round.
 * Nothing is edited: both stand in the chain and in the log. `at` is its time.
 */
export function composeReversal(
  original: ReceiptBody,
  n: number,
  reversal: Reversal,
  at: number,
  previous: Link,
): ReceiptBody {
  const { charge, claim, consumer, daemon, digest, fence, job, lane, model, network, price, provider } = original;
  const turn = <T extends number>(amount: T): T => (amount === 0 ? amount : -amount) as T;
  // Every key stands in the order of RFC 8785, as in the receipt.
  return {
    charge: {
      millicredits: turn(charge.millicredits),
      nano_usd: turn(charge.nano_usd),
      parts: charge.parts.map(({ backing, kind, millicredits, nano_usd }) => ({
        backing,
        kind,
        millicredits: turn(millicredits),
        nano_usd: turn(nano_usd),
      })),
      peg: charge.peg,
      peg_epoch: charge.peg_epoch,
    },
    claim,
    consumer,
    daemon,
    digest,
    fence,
    job,
    lane,
    model,
    n,
    network,
    outcome: "reversed",
    previous: previous.head,
    price,
    provider,
    quantization: original.quantization,
    reversal: { by: [...reversal.by], of: reversal.of, reason: reversal.reason },
    seq: previous.seq + 1,
    ...sliceIn(previous),
    split: original.split.map(({ backing, millicredits, nano_usd, role, to }) => ({
      backing,
      millicredits: turn(millicredits),
      nano_usd: turn(nano_usd),
      role,
      to,
    })),
    times: { ...original.times, completed: at },
    usage: original.usage,
    v: original.v,
  };
}

function sliceIn({ slice }: Link): { readonly slice?: number } {
  return slice === undefined ? {} : { slice };
}

function inOrder({ completion, prompt }: Tokens): Tokens {
  return { completion, prompt };
}

/** The bytes that the network signs: "tollmill/receipt/v1\n" + the body's canonical text. */
export function receiptBytes(bodyText: string): Uint8Array {
  return signedBytes(RECEIPT_VERSION, bodyText);
}

/** The canonical text of a receipt's body: what is stored, hashed and signed. */
export function receiptText(body: ReceiptBody): string {
  return canonicalText(body);
}
