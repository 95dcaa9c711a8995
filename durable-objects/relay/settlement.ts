/** From a stream that has ended to the facts that its account posts (architecture.md, steps 5 and 6). */

import type { ErrorCode } from "../../core/errors.ts";
import { parseDaemonId, parseSignature } from "../../core/keys.ts";
import type { Lane } from "../../core/lanes.ts";
import type { Outcome } from "../../core/outcome.ts";
import { billedTokens, type Tokens } from "../../core/pricing.ts";
import type { JobFacts, ReceiptBody } from "../../core/receipt/body.ts";
import type { ClaimCheck } from "../../core/receipt/checks.ts";
import { claimBytes } from "../../core/receipt/claim.ts";
import { NETWORK_PAYEE } from "../../core/receipt/rollup.ts";
import type { Ending } from "../../core/routing/ending.ts";
import { formatCredits, formatUsd, type Millicredits, type NanoUsd } from "../../core/units.ts";
import type { Done } from "../../protocol/daemon/messages.ts";
import type { PostResult } from "../../protocol/internal/account.ts";
import type { RelayJob } from "../../protocol/internal/job.ts";
import type { Usage } from "../../protocol/openai/chat.ts";
import { endingOf } from "./endings.ts";

/** What the relay saw of a job. */
export interface Observed {
  /** Completion tokens in the frames that were relayed. */
  readonly framed: number;
  readonly relayedBytes: number;
  /** Digest of every payload that the daemon sent, hex. */
  readonly responseDigest: string;
  readonly firstTokenAt: number | null;
}

/** A receipt as its account has posted it. */
export interface PostedReceipt {
  readonly text: string;
  readonly body: ReceiptBody;
}

/** What a stream's end came to. */
export type Settlement =
  | {
      readonly type: "settled";
      readonly outcome: Outcome;
      readonly usage: Usage;
      /** What it was for the daemon's score. */
      readonly ending: Ending;
      /** What was used, for the pool. */
      readonly tokens: Tokens;
      /** Null for an own device's job, which is free and leaves nothing behind (economics.md §6). */
      readonly receipt: PostedReceipt | null;
    }
  | { readonly type: "refused"; readonly reason: string; readonly code: ErrorCode; readonly ending: Ending };

/** Settles a job that ended with a claim, or without one when `done` is null. `failed` is the check that it failed. */
export async function settle(
  host: { readonly network: string; post(facts: JobFacts): Promise<PostResult> },
  job: RelayJob,
  outcome: Outcome,
  done: Done | null,
  failed: ClaimCheck | null,
  observed: Observed,
): Promise<Settlement> {
  const tokens = billed(job, done, observed);
  const { lane, grant } = job;
  const ending = endingOf(outcome, observed.firstTokenAt, done, failed, tokens);
  if (lane === null) return { type: "settled", outcome, ending, usage: freeUsage(job, tokens), tokens, receipt: null };
  // A claim that fails a check does so also where the hold is over.
  const otherwise = failed === null ? "unjudged" : ending;
  const facts = factsOf(host.network, { ...job, lane }, outcome, tokens, done, failed, observed, Date.now());
  const result = await host.post(facts);
  if (result.type === "refused") return { ...result, code: "job_expired", ending: otherwise };
  const body = JSON.parse(result.body) as ReceiptBody;
  // Another attempt was posted first: its receipt is not this daemon's.
  if (body.fence !== grant.fence) {
    return { type: "refused", reason: "superseded", code: "provider_failed", ending: otherwise };
  }
  return {
    type: "settled",
    outcome: body.outcome,
    ending: body.outcome === outcome ? ending : otherwise,
    usage: usageOf(body),
    tokens,
    receipt: { text: result.body, body },
  };
}

const keys = new Map<string, CryptoKey>();
const KEYS_KEPT = 1_024;

/**
 * The first check that a claim fails; null where it is this job's, says what the relay saw, and carries its daemon's
 * signature. WebCrypto is safe here, as only keys that passed the strict check were enrolled and admitted.
 */
export async function failedCheck(job: RelayJob, done: Done, observed: Observed): Promise<ClaimCheck | null> {
  const { grant } = job;
  const { usage, digest, model } = done;
  if (done.job !== job.job || done.fence !== grant.fence) return "fence";
  if (model !== job.model) return "model";
  const matches =
    digest.salt === job.salt && digest.request === job.requestDigest && digest.response === observed.responseDigest;
  if (!matches) return "digest";
  const signature = parseSignature(done.signature);
  if (signature === null) return "signature";
  const bytes = claimBytes({ job: job.job, fence: grant.fence, daemon: grant.daemon, model, usage, digest });
  const isSigned = await crypto.subtle.verify("Ed25519", await publicKey(grant.daemon), signature, bytes);
  return isSigned ? null : "signature";
}

async function publicKey(daemon: string): Promise<CryptoKey> {
  const known = keys.get(daemon);
  if (known !== undefined) return known;
  const bytes = parseDaemonId(daemon);
  if (bytes === null) throw new TypeError("an admitted daemon has a strong key");
  const imported = await crypto.subtle.importKey("raw", bytes, "Ed25519", false, ["verify"]);
  if (keys.size >= KEYS_KEPT) keys.clear();
  keys.set(daemon, imported);
  return imported;
}

/** The tokens that count for a job; none where there is no claim. */
function billed(
  { hold, choices, minBytesPerTokenHundredths }: RelayJob,
  done: Done | null,
  observed: Observed,
): Tokens {
  if (done === null) return { prompt: 0, completion: 0 };
  return billedTokens({
    claimed: done.usage,
    framed: observed.framed,
    relayedBytes: observed.relayedBytes,
    completionCap: hold.completionCap * choices,
    promptBound: hold.promptBound,
    minBytesPerTokenHundredths,
  });
}

function factsOf(
  network: string,
  job: RelayJob & { readonly lane: Lane },
  outcome: Outcome,
  tokens: Tokens,
  done: Done | null,
  failed: ClaimCheck | null,
  observed: Observed,
  now: number,
): JobFacts {
  const { grant } = job;
  return {
    network,
    job: job.job,
    n: 0,
    outcome,
    lane: job.lane,
    model: job.model,
    quantization: grant.quantization,
    consumer: job.consumer,
    provider: grant.provider,
    daemon: grant.daemon,
    fence: grant.fence,
    usage: { ...tokens, relayed: observed.framed },
    times: {
      queued: job.queuedAt,
      dispatched: grant.dispatchedAt,
      first_token: observed.firstTokenAt,
      completed: now,
    },
    ...(grant.slotSince === undefined ? {} : { reserved: grant.slotSince }),
    terms: grant.terms,
    auction: grant.auction,
    digest: { request: job.requestDigest, response: observed.responseDigest, salt: job.salt },
    // A claim that did not hold is no claim: the receipt carries only what proves something.
    claim: done === null || failed !== null ? null : { usage: done.usage, signature: done.signature },
    ...(failed === null ? {} : { failed_check: failed }),
    payees: { provider: grant.provider, network: NETWORK_PAYEE },
  };
}

/** OpenAI's usage object with what the job cost. */
function usageOf({ usage, charge, times, lane, job }: ReceiptBody): Usage {
  return {
    ...counted(usage),
    cost: formatCredits(charge.millicredits),
    cost_usd: formatUsd(charge.nano_usd),
    lane,
    queue_ms: times.dispatched - times.queued,
    receipt: job,
  };
}

function freeUsage({ queuedAt, grant }: RelayJob, tokens: Tokens): Usage {
  return {
    ...counted(tokens),
    cost: formatCredits(0 as Millicredits),
    cost_usd: formatUsd(0 as NanoUsd),
    lane: null,
    queue_ms: Math.max(0, grant.dispatchedAt - queuedAt),
    receipt: null,
  };
}

function counted({ prompt, completion }: Tokens) {
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}
