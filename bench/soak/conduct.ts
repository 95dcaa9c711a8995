/** How a consumer conducts itself towards one answer. */

import type { Random } from "../../core/random.ts";
import type { Plan } from "../engine/answer.ts";
import { NATURAL } from "../run/scenarios.ts";
import { between } from "./random.ts";

export type Conduct =
  /** Reads to the end. */
  | { readonly type: "reads" }
  /** Resets its connection, at any moment of the call. */
  | { readonly type: "leaves"; readonly afterMs: number; readonly from: Plan }
  /** Takes nothing for a while; longer than a stream may stay paused, it is given up by the network. */
  | { readonly type: "dawdles"; readonly afterMs: number; readonly forMs: number };

const LEAVES = 0.2;
/** Of those who leave, so many go in the moments in which their job is held and given to a daemon … */
const LEAVES_EARLY = 0.3;
const EARLY_MS = 12;
/** … and so many before the first token of a slow answer, partly within the second in which that is free. */
const LEAVES_WAITING = 0.2;
const SLOW_MS = 2_500;
/** The whole answer takes 5 s. */
const LATE_MS = 5_200;
const DAWDLES = 0.02;
/** Of those who dawdle, so many never come back. */
const NEVER = 0.05;
const DAWDLES_MS = 12_000;
const NEVER_MS = 75_000;

/** With it an answer has 7 MB, more than the sockets in between hold. */
const FILLING_BYTES = 115_000;
const SLOW: Plan = { ...NATURAL, start: SLOW_MS };
const LARGE: Plan = { ...NATURAL, filling: FILLING_BYTES };

export function conductOf(random: Random): Conduct {
  const kind = random();
  if (kind < LEAVES) return leaving(random);
  if (kind < LEAVES + DAWDLES) {
    const forMs = random() < NEVER ? NEVER_MS : between(random, 2_000, DAWDLES_MS);
    return { type: "dawdles", afterMs: between(random, 0, 2_000), forMs };
  }
  return { type: "reads" };
}

function leaving(random: Random): Conduct {
  const when = random();
  if (when < LEAVES_EARLY) return { type: "leaves", afterMs: random() * EARLY_MS, from: NATURAL };
  if (when < LEAVES_EARLY + LEAVES_WAITING) return { type: "leaves", afterMs: random() * SLOW_MS, from: SLOW };
  return { type: "leaves", afterMs: random() * LATE_MS, from: NATURAL };
}

/** What a consumer asks for: 250 tokens in 5 s; who dawdles asks for so much that it is felt. */
export function planFor(conduct: Conduct): Plan {
  if (conduct.type === "leaves") return conduct.from;
  return conduct.type === "dawdles" ? LARGE : NATURAL;
}
