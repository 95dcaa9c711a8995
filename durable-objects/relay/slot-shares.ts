/**
 * The slots of daemons that serve several models: each of their pools grants them as if they were its own, so their relay,
 * which sees all jobs, tells a pool what the others have. A pool is told of more only when no slot is left, and of less
 * always: what it thinks is at most too hopeful, and then the relay gives the job back.
 */

import type { DaemonId } from "../../core/ids.ts";

export interface SlotHost {
  /** The jobs that a daemon serves at once over all its models; 0 when it is not here. */
  slotsOf(daemon: DaemonId): number;
  /** The models whose pools have a daemon. */
  modelsOf(daemon: DaemonId): readonly string[];
  /** Tells a model's pool how many jobs a daemon has for others. */
  tell(model: string, daemon: DaemonId, elsewhere: number): void;
}

interface Load {
  total: number;
  readonly ofModel: Map<string, number>;
  /** What pools were told last. */
  readonly told: Map<string, number>;
}

export class SlotShares {
  readonly #host: SlotHost;
  readonly #loads = new Map<DaemonId, Load>();

  constructor(host: SlotHost) {
    this.#host = host;
  }

  /** Whether a daemon has a job in every slot, whatever its models' pools think. */
  isFull(daemon: DaemonId): boolean {
    return (this.#loads.get(daemon)?.total ?? 0) >= this.#host.slotsOf(daemon);
  }

  /** The jobs that a daemon has for other pools than a model's, which is told so by whoever asks. */
  elsewhere(daemon: DaemonId, model: string): number {
    const load = this.#loads.get(daemon);
    if (load === undefined) return 0;
    const jobs = load.total - (load.ofModel.get(model) ?? 0);
    load.told.set(model, jobs);
    return jobs;
  }

  started(daemon: DaemonId, model: string): void {
    const load = this.#loads.get(daemon) ?? { total: 0, ofModel: new Map(), told: new Map() };
    this.#loads.set(daemon, load);
    this.#count(daemon, load, model, 1);
  }

  ended(daemon: DaemonId, model: string): void {
    const load = this.#loads.get(daemon);
    if (load === undefined) return;
    this.#count(daemon, load, model, -1);
    if (load.total === 0) this.#loads.delete(daemon);
  }

  #count(daemon: DaemonId, load: Load, model: string, change: 1 | -1): void {
    load.total += change;
    load.ofModel.set(model, (load.ofModel.get(model) ?? 0) + change);
    const isFull = load.total >= this.#host.slotsOf(daemon);
    for (const each of this.#host.modelsOf(daemon)) {
      const before = load.told.get(each) ?? 0;
      const now = load.total - (load.ofModel.get(each) ?? 0);
      if (now < before || (isFull && now > before)) this.#host.tell(each, daemon, this.elsewhere(daemon, each));
    }
  }
}
