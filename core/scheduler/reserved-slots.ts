/**
 * The reserved slots that accounts use in a pool, by jobs that run in one or go ahead to run. An account says at the hold
 * whether a job has one; a pool that gave a freed one to a job that waited knows better.
 */

import type { Flow } from "./fair-queue.ts";

export class ReservedSlots {
  readonly #used = new Map<string, number>();

  /** Whether an account uses fewer than its packages reserve, which is what it weighs. */
  hasFree({ account, weight }: Flow): boolean {
    return (this.#used.get(account) ?? 0) < weight;
  }

  take({ account }: Flow): void {
    this.#used.set(account, (this.#used.get(account) ?? 0) + 1);
  }

  free({ account }: Flow): void {
    const left = (this.#used.get(account) ?? 0) - 1;
    if (left > 0) this.#used.set(account, left);
    else this.#used.delete(account);
  }
}
