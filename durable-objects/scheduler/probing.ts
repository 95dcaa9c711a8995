/**
 * When daemons in quarantine are probed (economics.md §9): by the object's alarm, as a timer would keep it awake for hours. A
 * daemon that is away waits for its probe, and has another hour when it is back.
 */

import { type DaemonId, type JobId, newJobId } from "../../core/ids.ts";
import type { ProbeResult } from "../../core/routing/quarantine.ts";
import type { Standings } from "../../core/routing/standings.ts";
import type { Pool } from "../../core/scheduler/pool.ts";
import type { ProbeOrder } from "../../protocol/internal/pool.ts";
import { emitError } from "../shared/events.ts";

/** What probing needs of its scheduler. */
export interface ProbingHost {
  readonly ctx: DurableObjectState;
  readonly pool: Pool;
  readonly standings: Standings;
  /** Has a probe run by the relay that has its daemon. */
  run(relay: string, order: Omit<ProbeOrder, "model">): Promise<ProbeResult>;
  nextFence(): number;
}

export class Probing {
  readonly #host: ProbingHost;
  /** When the alarm comes that was set last. */
  #alarmAt: number | null = null;

  constructor(host: ProbingHost) {
    this.#host = host;
  }

  /** Sets the alarm for the probe that is due next. */
  arm(): void {
    const next = Math.min(...this.#waiting().map(({ probeAt }) => probeAt));
    if (!Number.isFinite(next) || next === this.#alarmAt) return;
    this.#alarmAt = next;
    this.#host.ctx.waitUntil(this.#host.ctx.storage.setAlarm(next));
  }

  /** The alarm has come: gives the daemons whose time it is their probes. Resolves when all have answered. */
  async runDue(now: number): Promise<void> {
    this.#alarmAt = null;
    const due = this.#waiting().filter(({ probeAt }) => probeAt <= now);
    await Promise.all(due.map(({ daemon }) => this.#probe(daemon, now)));
  }

  async #probe(daemon: DaemonId, now: number): Promise<void> {
    const { pool } = this.#host;
    const relay = pool.daemons.get(daemon)?.relay;
    if (relay === undefined) return;
    const job: JobId = newJobId(now, crypto.getRandomValues(new Uint8Array(10)));
    const order = { job, fence: this.#host.nextFence(), daemon };
    const result = await this.#host.run(relay, order).catch((error: unknown): ProbeResult => {
      emitError("probe_failed", error, { job, daemon });
      return "nothing";
    });
    pool.probed(daemon, result, Date.now());
  }

  #waiting(): ReturnType<Standings["probes"]> {
    const { pool, standings } = this.#host;
    return standings.probes().filter(({ daemon }) => pool.daemons.has(daemon));
  }
}
