/** The pauses of a stream whose consumer takes it too slowly (economics.md §6). */

import { LIMITS } from "../../core/limits.ts";

export class Pauses {
  #since: number | null = null;
  #beforeMs = 0;

  get isOn(): boolean {
    return this.#since !== null;
  }

  /** Whether the daemon ever had to wait for its consumer, so that nobody can tell how fast it is. */
  get haveBeen(): boolean {
    return this.isOn || this.#beforeMs > 0;
  }

  begin(now: number): void {
    this.#since ??= now;
  }

  end(now: number): void {
    this.#beforeMs = this.#total(now);
    this.#since = null;
  }

  #total(now: number): number {
    return this.#beforeMs + (this.#since === null ? 0 : now - this.#since);
  }

  /** Whether the consumer has kept its stream paused for as long as it may. */
  areOver(now: number): boolean {
    return this.#total(now) >= LIMITS.streamPausedMs;
  }

  /** When they are over, unless the pause ends before; never where there is none. */
  get due(): number {
    return this.#since === null ? Number.POSITIVE_INFINITY : this.#since + LIMITS.streamPausedMs - this.#beforeMs;
  }
}
