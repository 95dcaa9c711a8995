/**
 * Faults on demand: what goes wrong between a client and a chain, aimed at the next calls of a method or drawn by a seed.
 * A fault that happened is told to nobody but the one who reads {@link Faults.happened}.
 */

import { z } from "zod";
import { seeded } from "../../core/random.ts";

/** The furthest that a node may be behind: so many slots are kept beyond the finalized one. */
export const MAX_LAG_SLOTS = 256;
const MAX_DELAY_SLOTS = 100_000;
const MAX_WAIT_MS = 600_000;
const MAX_RULES = 100;

const aim = {
  /** The method whose calls it meets; without one, all that it can happen to. */
  method: z.string().min(1).optional(),
  /** It is over after so many. */
  times: z.number().int().min(1).optional(),
  probability: z.number().gt(0).max(1).optional(),
};
const waitMs = z.number().int().min(0).max(MAX_WAIT_MS).default(0);

export const faultShape = z.discriminatedUnion("kind", [
  /** A transaction is accepted and never lands. */
  z.strictObject({ kind: z.literal("drop"), ...aim }),
  /** It lands so many slots later, or never, if its blockhash does not live that long. */
  z.strictObject({ kind: z.literal("delay"), slots: z.number().int().min(1).max(MAX_DELAY_SLOTS), ...aim }),
  /** It lands, pays its fee and fails, whatever it says. */
  z.strictObject({ kind: z.literal("fail"), ...aim }),
  /** The connection breaks without an answer, before anything was done. */
  z.strictObject({ kind: z.literal("break_before"), waitMs, ...aim }),
  /** The same after it was done. */
  z.strictObject({ kind: z.literal("break_after"), waitMs, ...aim }),
  /** The answer is that of a node which is so many slots behind. */
  z.strictObject({ kind: z.literal("lag"), slots: z.number().int().min(1).max(MAX_LAG_SLOTS), ...aim }),
  /** HTTP 429. */
  z.strictObject({ kind: z.literal("rate_limit"), ...aim }),
]);
export type Fault = z.infer<typeof faultShape>;
/** A fault as it is asked for: what has a default may be left out. */
export type FaultInput = z.input<typeof faultShape>;
export type FaultKind = Fault["kind"];
export const faultList = z.array(faultShape).max(MAX_RULES);

const OF_TRANSACTIONS: ReadonlySet<FaultKind> = new Set(["drop", "delay", "fail"]);
const SEND = "sendTransaction";

/** What meets one call. Of two faults of a kind the first one counts. */
export type Met = { readonly [Kind in FaultKind]?: Extract<Fault, { kind: Kind }> };

interface Rule {
  readonly fault: Fault;
  left: number;
}

export class Faults {
  readonly #random: () => number;
  #rules: Rule[] = [];
  readonly #happened = new Map<FaultKind, number>();

  /** The same seed draws the same faults for the same calls. */
  constructor(seed = 1) {
    this.#random = seeded(seed);
  }

  /** Throws a ZodError for a fault that makes no sense. */
  add(...faults: readonly FaultInput[]): void {
    for (const fault of faultList.parse(faults)) this.#rules.push({ fault, left: fault.times ?? Infinity });
  }

  clear(): void {
    this.#rules = [];
  }

  /** Those that can still happen, with the times that are left. */
  get waiting(): Fault[] {
    return this.#rules.map(({ fault, left }) => (left === Infinity ? fault : { ...fault, times: left }));
  }

  /** How often each kind has happened. */
  get happened(): Partial<Record<FaultKind, number>> {
    return Object.fromEntries(this.#happened);
  }

  /** What meets the next call of a method. Every call that is asked about counts. */
  meet(method: string): Met {
    const met: Partial<Record<FaultKind, Fault>> = {};
    for (const rule of this.#rules) {
      const { fault } = rule;
      if (met[fault.kind] !== undefined || !isAimedAt(fault, method)) continue;
      if (fault.probability !== undefined && this.#random() >= fault.probability) continue;
      met[fault.kind] = fault;
      rule.left -= 1;
      this.#happened.set(fault.kind, (this.#happened.get(fault.kind) ?? 0) + 1);
    }
    this.#rules = this.#rules.filter(({ left }) => left > 0);
    return met as Met;
  }
}

function isAimedAt({ kind, method }: Fault, called: string): boolean {
  if (OF_TRANSACTIONS.has(kind) && called !== SEND) return false;
  return method === undefined || method === called;
}

const ENTRY = /^(?<kind>[a-z_]+)(?:=(?<amount>\d+))?(?:@(?<probability>[\d.]+))?(?::(?<method>\w+))?$/;

/**
 * Faults as a command line gives them: `drop@0.1,lag=5@0.3:getAccountInfo`, each a kind, `=` slots or milliseconds, `@`
 * probability and `:` method, all but the kind as needed. Throws an error that names the entry.
 */
export function parseFaults(text: string): Fault[] {
  return text
    .split(",")
    .filter((entry) => entry !== "")
    .map((entry) => {
      const { kind, amount, probability, method } = ENTRY.exec(entry)?.groups ?? {};
      const fault = faultShape.safeParse({
        kind,
        ...(amount === undefined ? {} : { [kind?.startsWith("break") ? "waitMs" : "slots"]: Number(amount) }),
        ...(probability === undefined ? {} : { probability: Number(probability) }),
        ...(method === undefined ? {} : { method }),
      });
      if (fault.success) return fault.data;
      throw new Error(
        `${entry} is no fault. Write drop, fail, rate_limit, delay=SLOTS, lag=SLOTS, break_before=MS or break_after=MS, ` +
          "then @PROBABILITY and :METHOD as needed, as in lag=5@0.3:getAccountInfo.",
      );
    });
}
