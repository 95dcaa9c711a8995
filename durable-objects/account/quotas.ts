/** What each key has used of its minute. An object that sleeps has had no job for some time, so memory is enough. */

import { type Quota, type QuotaWindow, quotaOf, takeJob } from "../../core/account/quota.ts";
import type { KeyId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";

interface BoundKey {
  readonly id: KeyId;
  /** Jobs a minute; null for the network's own bound, which is what one object can commit. */
  readonly requestsPerMinute: number | null;
}

export class Quotas {
  readonly #windows = new Map<KeyId, QuotaWindow>();

  /** What is left, without taking anything. */
  of(key: BoundKey, now: number): Quota {
    return quotaOf(this.#windows.get(key.id), boundOf(key), now);
  }

  /** Takes one job, or says that none is left. */
  take(key: BoundKey, now: number): { readonly ok: boolean; readonly quota: Quota } {
    const { ok, window, quota } = takeJob(this.#windows.get(key.id), boundOf(key), now);
    this.#windows.set(key.id, window);
    return { ok, quota };
  }
}

function boundOf({ requestsPerMinute }: BoundKey): number {
  return requestsPerMinute ?? LIMITS.requestsPerMinute;
}
