/** Lanes' shares over any thousand dispatches, beside their weights (economics.md §8). */

import { LANE_TABLE, type Lane } from "../../../core/lanes.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";

const WINDOW = 1_000;

/** What each of some lanes has of all, where all of them have jobs waiting: by its weight in its class, and its class's. */
export function wantedShares(lanes: readonly Lane[]): number[] {
  const { classWeightOpen, classWeightPrivate } = GENESIS_PARAMETERS;
  const classOf = (lane: Lane) => LANE_TABLE[lane].class;
  const weightOf = (lane: Lane) => GENESIS_PARAMETERS[LANE_TABLE[lane].weight];
  const total = (weights: readonly number[]) => weights.reduce((sum, weight) => sum + weight, 0);
  const classWeight = { open: classWeightOpen, private: classWeightPrivate };
  const classes = total([...new Set(lanes.map(classOf))].map((name) => classWeight[name]));
  return lanes.map((lane) => {
    const siblings = lanes.filter((other) => classOf(other) === classOf(lane)).map(weightOf);
    return (classWeight[classOf(lane)] / classes) * (weightOf(lane) / total(siblings));
  });
}

export class Shares {
  readonly #wanted: readonly number[];
  readonly #charged: number[];
  /** What lanes were charged before each of the last dispatches. */
  readonly #before: number[][] = [];
  #dispatches = 0;
  #farthest = 0;
  #beyond = 0;

  constructor(wanted: readonly number[]) {
    this.#wanted = wanted;
    this.#charged = wanted.map(() => 0);
  }

  /** A lane was charged, or credited. */
  add(lane: number, units: number): void {
    this.#charged[lane] = (this.#charged[lane] ?? 0) + units;
  }

  /** A job was dispatched and charged: compares the window that ends with it. */
  dispatched(largestCharge: number): void {
    const place = this.#dispatches % WINDOW;
    const before = this.#before[place];
    this.#before[place] = [...this.#charged];
    this.#dispatches += 1;
    if (before === undefined) return;
    const units = this.#charged.map((charged, lane) => charged - (before[lane] ?? 0));
    const total = units.reduce((sum, each) => sum + each, 0);
    for (const [lane, wanted] of this.#wanted.entries()) {
      const error = Math.abs((units[lane] ?? 0) / total - wanted);
      this.#farthest = Math.max(this.#farthest, error);
      this.#beyond = Math.max(this.#beyond, error - largestCharge / total);
    }
  }

  /** How far a share ever was from its weight, and how much of that is more than one largest charge: in points. */
  get error(): { readonly points: number; readonly beyondOneCharge: number } {
    return { points: 100 * this.#farthest, beyondOneCharge: 100 * this.#beyond };
  }
}
