/** A queue's counters as they are kept between two lives of a pool: what nobody should lose by a restart. */

import type { Lane } from "../lanes.ts";

export interface Fairness {
  readonly v: 1;
  readonly tag: number;
  readonly classes: readonly { readonly virtual: number; readonly tag: number }[];
  readonly lanes: readonly {
    readonly lane: Lane;
    readonly virtual: number;
    readonly tag: number;
    readonly flows: readonly (readonly [account: string, weight: number, counter: number])[];
  }[];
}
