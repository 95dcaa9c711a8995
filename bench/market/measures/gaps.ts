/** The largest difference in service between two accounts that always have work (economics.md §8). */

/** So many accounts of a lane are held against each other: each pair of them over every stretch of time. */
const TRACKED = 128;

export interface Gap {
  readonly apart: number;
  readonly stretch: number;
}

export class Gaps {
  readonly #weights: Float64Array;
  /** Charged units, divided by the weight. */
  readonly #served: Float64Array;
  /** How far the account of the row ever was ahead of the account of the column. */
  readonly #ahead: Float64Array;

  /** The weights of the accounts that always have work; of more than can be held against each other the first ones count. */
  constructor(weights: readonly number[]) {
    this.#weights = Float64Array.from(weights.slice(0, TRACKED));
    this.#served = new Float64Array(this.#weights.length);
    this.#ahead = new Float64Array(this.#weights.length ** 2);
  }

  /** An account was charged, or credited. */
  add(account: number, units: number): void {
    const count = this.#weights.length;
    const weight = this.#weights[account];
    if (weight === undefined) return;
    const served = (this.#served[account] ?? 0) + units / weight;
    this.#served[account] = served;
    for (let other = 0; other < count; other++) {
      const lead = served - (this.#served[other] ?? 0);
      const [here, there] = [account * count + other, other * count + account];
      if (lead > (this.#ahead[here] ?? 0)) this.#ahead[here] = lead;
      if (-lead > (this.#ahead[there] ?? 0)) this.#ahead[there] = -lead;
    }
  }

  /**
   * The widest gap of all pairs, as a multiple of the largest charge: how far two ever were apart, and how much one got more
   * than the other over any stretch of time. It is (W₁ / w₁ − W₂ / w₂) beside (1 / w₁ + 1 / w₂) / 2 of the charge, which
   * is the plain difference where both weigh 1.
   */
  widest(largestCharge: number): Gap {
    const count = this.#weights.length;
    let [apart, stretch] = [0, 0];
    for (let one = 0; one < count; one++) {
      for (let other = 0; other < one; other++) {
        const ahead = this.#ahead[one * count + other] ?? 0;
        const behind = this.#ahead[other * count + one] ?? 0;
        const charge = (largestCharge * (1 / (this.#weights[one] ?? 1) + 1 / (this.#weights[other] ?? 1))) / 2;
        apart = Math.max(apart, ahead / charge, behind / charge);
        stretch = Math.max(stretch, (ahead + behind) / charge);
      }
    }
    return { apart, stretch };
  }
}

/** Jain's index of what accounts got for their weight: 1 where all have the same, 1 / n where one has all. */
export function jain(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares === 0 ? 1 : (sum * sum) / (values.length * squares);
}
