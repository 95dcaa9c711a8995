/** What every call of an account has: who asks, and an answer that may be a refusal. */

import type { Refusal } from "../../core/errors.ts";

/** Who asks: the hash of an API key's secret. */
export interface Credentials {
  readonly secretHash: string;
}

export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };
