/** From a stream that has ended to the facts that its account posts (architecture.md, steps 5 and 6). */

import { parseDaemonId, parseSignature } from "../../core/keys.ts";
import type { Outcome } from "../../core/outcome.ts";
import { billedTokens, type Tokens } from "../../core/pricing.ts";
import type { JobFacts, ReceiptBody } from "../../core/receipt/body.ts";
import type { ClaimCheck } from "../../core/receipt/checks.ts";
import { claimBytes } from "../../core/receipt/claim.ts";
import { NETWORK_PAYEE } from "../../core/receipt/rollup.ts";
import { formatCredits, formatUsd } from "../../core/units.ts";
import type { Done } from "../../protocol/daemon/messages.ts";
import type { RelayJob } from "../../protocol/internal/job.ts";
import type { Usage } from "../../protocol/openai/chat.ts";

/** What the relay saw of a job. */
export interface Observed {
  /** Completion tokens in the frames that were relayed. */
  readonly framed: number;
  readonly relayedBytes: number;
  /** Digest of every payload that the daemon sent, hex. */
  readonly responseDigest: string;
  readonly firstTokenAt: number | null;
}

/** Who receives the network's share. */

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

/** The facts of a job that ended with a claim, or without one when `done` is null. `failed` is the check that it failed. */
export function factsOf(
  network: string,
  job: RelayJob,
  outcome: Outcome,
  done: Done | null,
  failed: ClaimCheck | null,
  observed: Observed,
  now: number,
): JobFacts {
  const { grant, hold } = job;
  const tokens: Tokens =
    done === null
      ? { prompt: 0, completion: 0 }
      : billedTokens({
          claimed: done.usage,
          framed: observed.framed,
          relayedBytes: observed.relayedBytes,
          completionCap: hold.completionCap * job.choices,
          promptBound: hold.promptBound,
          minBytesPerTokenHundredths: job.minBytesPerTokenHundredths,
        });
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
export function usageOf(body: ReceiptBody): Usage {
  const { usage, charge, times, lane, job } = body;
  return {
    prompt_tokens: usage.prompt,
    completion_tokens: usage.completion,
    total_tokens: usage.prompt + usage.completion,
    cost: formatCredits(charge.millicredits),
    cost_usd: formatUsd(charge.nano_usd),
    lane,
    queue_ms: times.dispatched - times.queued,
    receipt: job,
  };
}
