/** The order of what happens in a run, and what was lost in it: what the model may hold an end against. */

/** A place in the order of a run, and the time of the network's clock then. */
export interface Moment {
  readonly tick: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export const PARTS = ["account", "relay", "scheduler"] as const;
export type Part = (typeof PARTS)[number];

/** A part that lost its memory, an answer of it that was lost on its way, or a machine's connection. */
interface Loss extends Moment {
  readonly part: Part | "machine";
}

export class History {
  #tick = 0;
  readonly #losses: Loss[] = [];

  now(): Moment {
    this.#tick += 1;
    return { tick: this.#tick, at: Date.now() };
  }

  lost(part: Loss["part"]): void {
    this.#losses.push({ part, ...this.now() });
  }

  /** Whether one of some parts was lost between two ticks. */
  lostBetween(from: number, to: number, parts: readonly Loss["part"][] = PARTS): boolean {
    return this.#losses.some(({ part, tick }) => tick > from && tick < to && parts.includes(part));
  }
}
