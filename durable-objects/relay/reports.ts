/**
 * What relays tell schedulers, in digests: one call in flight for each pool, and everything that happens meanwhile goes
 * with the next. A free pool hears of an ended job at once, a busy one hears of many in one call.
 */

import type { JobReport } from "../../protocol/internal/pool.ts";
import { emitError } from "../shared/events.ts";

const RETRY_MS = 500;
/** Reports kept for a pool that cannot be reached; it asks for the roster when it starts again. */
const KEPT = 4_096;

export class Reports {
  readonly #send: (model: string, reports: readonly JobReport[]) => Promise<void>;
  readonly #pending = new Map<string, JobReport[]>();
  readonly #inFlight = new Set<string>();

  constructor(send: (model: string, reports: readonly JobReport[]) => Promise<void>) {
    this.#send = send;
  }

  add(model: string, report: JobReport): void {
    const pending = this.#pending.get(model) ?? [];
    pending.push(report);
    if (pending.length > KEPT) pending.shift();
    this.#pending.set(model, pending);
    if (!this.#inFlight.has(model)) void this.#flush(model);
  }

  async #flush(model: string): Promise<void> {
    this.#inFlight.add(model);
    for (let batch = this.#take(model); batch.length > 0; batch = this.#take(model)) {
      try {
        await this.#send(model, batch);
      } catch (error) {
        emitError("report_failed", error, { model, reports: batch.length });
        this.#pending.set(model, [...batch, ...(this.#pending.get(model) ?? [])].slice(-KEPT));
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    this.#inFlight.delete(model);
  }

  #take(model: string): JobReport[] {
    const batch = this.#pending.get(model) ?? [];
    this.#pending.delete(model);
    return batch;
  }
}
