/** One alarm that is left alone where it rings soon enough, as every alarm that is set costs a row. */

import { LIMITS } from "../../core/limits.ts";

export class LazyAlarm {
  readonly #ctx: DurableObjectState;
  /** When it rings, as far as this life of the object knows. */
  #at = Number.POSITIVE_INFINITY;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  /** Lets it ring `afterMs` from now at the latest. */
  arm(afterMs: number = LIMITS.accountAlarmMs): void {
    const wanted = Date.now() + afterMs;
    // One that should have rung long ago has spent its retries.
    if (this.#at <= wanted && this.#at > Date.now() - LIMITS.accountAlarmMs) return;
    this.#at = wanted;
    this.#ctx.waitUntil(
      this.#ctx.storage.getAlarm().then((due) => {
        // An alarm in the past is one whose retries are spent: it would never ring again.
        if (due === null || due > wanted || due < Date.now() - LIMITS.accountAlarmMs) {
          return this.#ctx.storage.setAlarm(wanted);
        }
        return undefined;
      }),
    );
  }

  /** Lets it ring at a time, or before. */
  armAt(time: number): void {
    this.arm(Math.max(1, time - Date.now()));
  }

  /** Like `arm`, in the turn of what was just written, so that no crash leaves that without an alarm. */
  armWithWrites(afterMs: number): void {
    const wanted = Date.now() + afterMs;
    if (this.#at <= wanted) return;
    this.#at = wanted;
    this.#ctx.waitUntil(this.#ctx.storage.setAlarm(wanted));
  }

  /** It rings now, so none is set. */
  rang(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }
}
