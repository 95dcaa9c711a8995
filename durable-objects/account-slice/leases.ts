/**
 * Until when a slice may begin jobs, and for whose keys. The lease itself lives in memory only: a slice that restarts
 * begins nothing until the next one. What was recalled is a row, as a lease that is late must not come back to life.
 */

import type { Lease, SliceKey } from "../../protocol/internal/slice.ts";
import type { AccountStore } from "../account/store.ts";

const LAST = "lease_last";
const CLOSED = "lease_closed";
const TOLD = "lease_drained";

export class Leases {
  readonly #store: AccountStore;
  #live: Lease | null = null;
  #keys = new Map<string, { readonly key: SliceKey; readonly until: number | null }>();

  constructor(store: AccountStore) {
    this.#store = store;
  }

  /** Takes a lease, unless it was recalled before it came or a later one is here. */
  begin(lease: Lease): void {
    if (lease.number > this.last) this.#store.set(LAST, String(lease.number));
    if (lease.number <= this.#number(CLOSED) || lease.number < (this.#live?.number ?? 0)) return;
    this.#live = lease;
    const secrets = lease.keys.flatMap((key) => key.secrets.map(({ hash, until }) => [hash, { key, until }] as const));
    this.#keys = new Map(secrets);
  }

  /** The lease that lasts now, or null. */
  at(now: number): Lease | null {
    return this.#live !== null && now < this.#live.until ? this.#live : null;
  }

  /** The key of a secret, where the lease lets it in. */
  find(secretHash: string, now: number): SliceKey | null {
    const found = this.#keys.get(secretHash);
    if (found === undefined || (found.until !== null && found.until <= now)) return null;
    const { expiresAt } = found.key;
    return expiresAt !== null && expiresAt <= now ? null : found.key;
  }

  /** Ends every lease up to a number, for good. */
  recall(upTo: number): void {
    if (upTo > this.#number(CLOSED)) this.#store.set(CLOSED, String(upTo));
    if (this.#live !== null && this.#live.number <= upTo) this.#live = null;
  }

  /** The number of the last lease that came, live or not. */
  get last(): number {
    return this.#number(LAST);
  }

  /** Whether the account was told that nothing is left of the last lease. */
  get isTold(): boolean {
    return this.#number(TOLD) === this.last;
  }

  tell(): void {
    this.#store.set(TOLD, String(this.last));
  }

  #number(name: string): number {
    return Number(this.#store.setting(name) ?? 0);
  }
}
