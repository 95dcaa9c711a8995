/** Job ids, and what an Idempotency-Key makes of them (interfaces.md §1). */

import { refuse } from "../../core/errors.ts";
import { type AccountId, type JobId, keyedJobId, newJobId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import type { Result } from "./prepare.ts";
import { drawSlice } from "./slices.ts";

const FORM = new RegExp(`^[\\x21-\\x7e]{1,${LIMITS.idempotencyKeyCharacters}}$`);

/** The id of a new job that has no idempotency key, for its account itself or a slice of it. */
export function freshJobId(now: number, slice: number): JobId {
  return newJobId(now, crypto.getRandomValues(new Uint8Array(10)), slice);
}

/** A new job's id. With an idempotency key its rest is the key's fingerprint, so that the account meets an earlier job. */
export async function jobIdFor(
  account: AccountId,
  key: string | undefined,
  now: number,
): Promise<Result<{ job: JobId; keyed: boolean }>> {
  if (key === undefined) {
    const slice = drawSlice(account, now, Math.random());
    return { ok: true, value: { job: freshJobId(now, slice), keyed: false } };
  }
  if (!FORM.test(key)) {
    const detail = `Idempotency-Key must be 1 to ${LIMITS.idempotencyKeyCharacters} printable ASCII characters.`;
    return { ok: false, refusal: refuse("invalid_request", { detail, param: "Idempotency-Key" }) };
  }
  const text = new Uint8Array(utf8ToBytes(`tollmill/idempotency/v1\n${account}\n${key}`));
  const fingerprint = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  return { ok: true, value: { job: keyedJobId(now, fingerprint), keyed: true } };
}
