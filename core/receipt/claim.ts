/** A daemon's signed word on what it did (interfaces.md §4). */

import type { DaemonId, JobId } from "../ids.ts";
import type { Tokens } from "../pricing.ts";
import { canonicalText, signedBytes } from "./canonical.ts";

export const CLAIM_DOMAIN = "tollmill/claim/v1";

export interface Digests {
  readonly request: string;
  readonly response: string;
  readonly salt: string;
}

/** What a daemon signs. */
export interface Claim {
  readonly job: JobId;
  readonly fence: number;
  readonly daemon: DaemonId;
  readonly model: string;
  readonly usage: Tokens;
  readonly digest: Digests;
}

/** The bytes that a daemon signs: "tollmill/claim/v1\n" + JCS of exactly the claim's fields. */
export function claimBytes(claim: Claim): Uint8Array {
  const { job, fence, daemon, model, usage, digest } = claim;
  return signedBytes(
    CLAIM_DOMAIN,
    // In the order of RFC 8785, so that nothing has to be sorted.
    canonicalText({
      daemon,
      digest: { request: digest.request, response: digest.response, salt: digest.salt },
      fence,
      job,
      model,
      usage: { completion: usage.completion, prompt: usage.prompt },
    }),
  );
}
