/** Looks at the clock and at the machine, and says whether the daemon may take jobs and what its offer says of that. */

import type { Offer, Thermal } from "../../protocol/daemon/messages.ts";
import type { Log } from "../output/log.ts";
import { closedOf, type Gate, type GateRules, type Gates, nextGates, type Readings, thermalOf } from "./gates.ts";
import type { Reader } from "./machine.ts";

export interface ConditionsOptions {
  readonly rules: GateRules;
  readonly read: Reader;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class Conditions {
  readonly #options: ConditionsOptions;
  #gates: Gates | null = null;
  #readings: Readings = { onAcPower: null, gpu: null };
  #looking = false;

  constructor(options: ConditionsOptions) {
    this.#options = options;
  }

  /** Whether the daemon may take jobs. */
  get isOpen(): boolean {
    return this.#closed.length === 0;
  }

  get thermal(): Thermal | null {
    return thermalOf(this.#readings, this.#options.rules);
  }

  /** What an offer says of them. */
  get offered(): Pick<Offer, "schedule" | "on_ac_power" | "withdrawn_by"> {
    const withdrawn = this.isOpen ? {} : { withdrawn_by: this.#closed };
    return {
      schedule: this.#options.rules.schedule?.text ?? null,
      on_ac_power: this.#readings.onAcPower,
      ...withdrawn,
    };
  }

  /** Reads everything anew. A look that still goes on is not joined by another one. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const { rules, read, now } = this.#options;
      this.#readings = await read();
      const before = this.#gates;
      this.#gates = nextGates(before, rules, this.#readings, now());
      if (before === null) this.#warnOfUnknown();
      this.#tell(before === null ? [] : closedOf(before));
    } finally {
      this.#looking = false;
    }
  }

  get #closed(): Gate[] {
    return this.#gates === null ? [] : closedOf(this.#gates);
  }

  #tell(before: readonly Gate[]): void {
    const { log, rules } = this.#options;
    const closed = this.#closed;
    if (closed.join() === before.join()) return;
    if (closed.length === 0) log.info("offered_again");
    else {
      const schedule = closed.includes("schedule") ? rules.schedule?.text : undefined;
      log.info("withdrawn", { by: closed.join(" "), schedule, hint: "running jobs end, and no new ones come" });
    }
  }

  /** A gate that cannot be read must not keep a machine from serving, nor be taken for one that watches. */
  #warnOfUnknown(): void {
    const { log, rules } = this.#options;
    const { onAcPower, gpu } = this.#readings;
    if (rules.onAcOnly && onAcPower === null) {
      log.warning("power_unknown", { hint: "this machine does not tell: it is taken to be on AC power" });
    }
    if (rules.maxGpuCelsius !== null && gpu === null) {
      log.warning("gpu_temperature_unknown", { hint: "nvidia-smi does not tell: --max-gpu-temp has no effect" });
    }
  }
}
