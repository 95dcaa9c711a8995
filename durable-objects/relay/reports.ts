/**
 * What relays tell schedulers, in digests: what happens within a moment goes in one call, and while a call is in flight
 * everything waits for the next. The end of a job that had filled its daemon is told at once: somebody may wait for the slot.
 */

import { LIMITS } from "../../core/limits.ts";
import type { JobReport } from "../../protocol/internal/pool.ts";
import { emitError } from "../shared/events.ts";

const RETRY_MS = 500;
/** Reports kept for a pool that cannot be reached; it asks for the roster when it starts again. */
const KEPT = 4_096;

interface Pending {
  reports: JobReport[];
  /** Set while a call is in flight or is about to be made. */
  timer: ReturnType<typeof setTimeout> | "in flight" | null;
}

export class Reports {
  readonly #send: (model: string, reports: readonly JobReport[]) => Promise<void>;
  readonly #pools = new Map<string, Pending>();

  constructor(send: (model: string, reports: readonly JobReport[]) => Promise<void>) {
    this.#send = send;
  }

  add(model: string, report: JobReport, urgent: boolean): void {
    const pool = this.#pools.get(model) ?? { reports: [], timer: null };
    this.#pools.set(model, pool);
    pool.reports.push(report);
    if (pool.reports.length > KEPT) pool.reports.shift();
    if (pool.timer === "in flight") return;
    if (urgent) {
      if (pool.timer !== null) clearTimeout(pool.timer);
      void this.#flush(model, pool);
    } else pool.timer ??= setTimeout(() => void this.#flush(model, pool), LIMITS.reportsMs);
  }

  async #flush(model: string, pool: Pending): Promise<void> {
    pool.timer = "in flight";
    while (pool.reports.length > 0) {
      const batch = pool.reports;
      pool.reports = [];
      try {
        await this.#send(model, batch);
      } catch (error) {
        emitError("report_failed", error, { model, reports: batch.length });
        pool.reports = [...batch, ...pool.reports].slice(-KEPT);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    pool.timer = null;
    this.#pools.delete(model);
  }
}
