/** What the property tests of an account do to it, and a second book beside it that says where every unit must be. */

import * as fc from "fast-check";
import { expect } from "vitest";
import { balanceOf } from "../../../core/account/balance.ts";
import { decideHold } from "../../../core/account/hold.ts";
import { type Backing, type Draw, LOT_KINDS, type LotKind } from "../../../core/account/lots.ts";
import { chargeHold, expiredHolds, expiredLots } from "../../../core/account/resolve.ts";
import {
  type AccountEvent,
  type AccountState,
  apply,
  emptyAccount,
  type Hold,
  type Link,
} from "../../../core/account/state.ts";
import { decideSending, RECEIVED_LOT } from "../../../core/account/transfer.ts";
import type { JobId, KeyId } from "../../../core/ids.ts";
import { LANES, type Lane } from "../../../core/lanes.ts";
import { OUTCOMES, type Outcome } from "../../../core/outcome.ts";
import { withParameters } from "../../../core/parameters.ts";
import { GENESIS_PEG, type Millicredits, type Peg } from "../../../core/units.ts";
import { TEST_TERMS } from "../../support/receipts.ts";

export type Step =
  | {
      readonly do: "credit";
      readonly kind: LotKind;
      readonly backing: Backing;
      readonly amount: number;
      readonly lives: number | null;
    }
  | {
      readonly do: "hold";
      readonly lane: Lane;
      readonly completion: number | null;
      readonly peg: Peg;
      readonly lives: number;
    }
  | { readonly do: "post"; readonly which: number; readonly outcome: Outcome; readonly completion: number }
  | { readonly do: "void"; readonly which: number }
  | { readonly do: "reverse"; readonly which: number }
  | { readonly do: "send"; readonly amount: number; readonly peg: Peg }
  | { readonly do: "receive"; readonly amount: number }
  | { readonly do: "wait"; readonly ms: number };

const lives = fc.integer({ min: 1, max: 500 });
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("credit" as const),
      kind: fc.constantFrom(...LOT_KINDS),
      backing: fc.constantFrom<Backing>("usdc", "none"),
      amount: fc.integer({ min: 1, max: 40_000 }),
      lives: fc.option(lives),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("hold" as const),
      lane: fc.constantFrom(...LANES),
      completion: fc.option(fc.integer({ min: 1, max: 300 })),
      peg: fc.constantFrom(GENESIS_PEG, { millicredits: 7, nanoUsd: 3 }, { millicredits: 2, nanoUsd: 5 }),
      lives,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("post" as const),
      which: fc.nat(9),
      outcome: fc.constantFrom(...OUTCOMES),
      completion: fc.nat(400),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("void" as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reverse" as const), which: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("send" as const),
      amount: fc.integer({ min: 1, max: 30_000 }),
      peg: fc.constantFrom(GENESIS_PEG, { millicredits: 7, nanoUsd: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("receive" as const), amount: fc.integer({ min: 1, max: 30_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 200 }) }) },
);

/** What is known of a lot without the code under test: where each unit of it has gone. */
interface Traced {
  granted: number;
  spent: number;
  expired: number;
}

/** An account with a second book beside it, kept in the simplest way that could be right. */
export class Traces {
  readonly state: AccountState = emptyAccount();
  readonly events: [AccountEvent, number, Link | undefined][] = [];
  readonly lots = new Map<string, Traced>();
  readonly holds = new Map<JobId, Map<string, number>>();
  /** Jobs that were charged and not taken back, with what was drawn. */
  readonly charged: { readonly job: JobId; readonly draws: readonly Draw[] }[] = [];
  /** When each lot ends, if it does. */
  readonly ends = new Map<string, number>();
  now = 1_000;
  #next = 0;

  apply(event: AccountEvent): void {
    // Every event but a hold is an entry of the chain.
    const link = event.type === "held" ? undefined : { seq: this.state.seq + 1, head: `head ${this.state.seq + 1}` };
    this.events.push([structuredClone(event), this.now, link]);
    apply(this.state, event, this.now, link);
  }

  run(step: Step): void {
    switch (step.do) {
      case "credit": {
        const { kind, backing, amount: granted, lives } = step;
        const id = `lot ${this.#next++}`;
        this.lots.set(id, { granted, spent: 0, expired: 0 });
        if (lives !== null) this.ends.set(id, this.now + lives);
        this.apply({
          type: "credited",
          lot: { id, kind, backing, granted, concurrency: 1, expiresAt: lives === null ? null : this.now + lives },
        });
        return;
      }
      case "hold":
        this.#hold(step);
        return;
      case "post": {
        const hold = this.#pick(step.which);
        if (hold !== undefined) this.#post(hold, step.outcome, step.completion);
        return;
      }
      case "void": {
        const hold = this.#pick(step.which);
        if (hold === undefined) return;
        this.apply({ type: "voided", job: hold.job, reason: "test" });
        this.holds.delete(hold.job);
        return;
      }
      case "reverse": {
        const [charged] = this.charged.splice(step.which % Math.max(1, this.charged.length), 1);
        if (charged === undefined) return;
        for (const { lot, amount } of charged.draws) this.#trace(lot).spent -= amount;
        const refunds = charged.draws.map((draw) => ({
          ...draw,
          expiresAt: this.ends.get(draw.lot) ?? null,
          concurrency: 1,
        }));
        this.apply({ type: "reversed", job: charged.job, n: 1, refunds, payee: "p" });
        // What came back to a lot whose time is over goes at once, as the ledger lets it.
        this.#expire();
        return;
      }
      case "send": {
        const sending = decideSending(this.state, step.amount as Millicredits, step.peg, this.now);
        if ("refusal" in sending) return;
        for (const { lot, amount } of sending.draws) this.#trace(lot).spent += amount;
        this.apply({ type: "sent", transfer: `t ${this.#next++}`, draws: sending.draws });
        return;
      }
      case "receive": {
        const { amount } = step;
        const traced = this.lots.get(RECEIVED_LOT);
        if (traced === undefined) this.lots.set(RECEIVED_LOT, { granted: amount, spent: 0, expired: 0 });
        else traced.granted += amount;
        this.apply({ type: "received", lot: RECEIVED_LOT, kind: "received", amount });
        return;
      }
      case "wait": {
        this.now += step.ms;
        for (const job of expiredHolds(this.state, this.now)) {
          this.apply({ type: "hold_expired", job });
          this.holds.delete(job);
        }
        this.#expire();
      }
    }
  }

  #expire(): void {
    for (const { lot, amount } of expiredLots(this.state, this.now)) {
      this.apply({ type: "lot_expired", lot, amount });
      this.#trace(lot).expired += amount;
    }
  }

  #hold({ lane, completion, peg, lives }: Extract<Step, { do: "hold" }>): void {
    const job = `job ${this.#next++}` as JobId;
    const decision = decideHold(
      this.state,
      {
        job,
        key: { id: "key" as KeyId, models: null, budget: null },
        lane,
        lanes: LANES,
        choosesProvider: false,
        mostBasisPoints: null,
        allowPaid: true,
        model: "m",
        body: "00",
        rate: TEST_TERMS.rate,
        promptBound: 10,
        completion,
        completionDefault: 100,
        choices: 1,
        expiresAt: this.now + lives,
        peg,
      },
      withParameters({ minimumBalanceMillicredits: 0, minimumCompletionTokens: 20 }),
      this.now,
    );
    if (decision.type !== "held") return;
    this.apply({ type: "held", hold: decision.hold });
    this.holds.set(job, new Map(decision.hold.draws.map(({ lot, amount }) => [lot, amount])));
  }

  #post(hold: Hold, outcome: Outcome, completion: number): void {
    const charge = chargeHold(hold, outcome, TEST_TERMS, { prompt: 5, completion });
    expect(charge.nanoUsd).toBeLessThanOrEqual(hold.price);
    for (const { lot, amount } of charge.draws) {
      expect(amount).toBeLessThanOrEqual(this.holds.get(hold.job)?.get(lot) ?? -1);
      this.#trace(lot).spent += amount;
    }
    this.apply({ type: "posted", job: hold.job, n: 0, draws: charge.draws, nanoUsd: charge.nanoUsd, payee: "p" });
    this.holds.delete(hold.job);
    if (charge.draws.length > 0) this.charged.push({ job: hold.job, draws: charge.draws });
  }

  #pick(which: number): Hold | undefined {
    const open = [...this.state.holds.values()];
    return open[which % Math.max(1, open.length)];
  }

  #trace(lot: string): Traced {
    const traced = this.lots.get(lot);
    if (traced === undefined) throw new Error(`nobody granted ${lot}`);
    return traced;
  }

  /** Nothing is negative, and every unit that was granted is available, held, spent or expired: in exactly one place. */
  check(): void {
    for (const [id, { granted, spent, expired }] of this.lots) {
      const { available, held } = this.state.lots.get(id) ?? { available: 0, held: 0 };
      expect(Math.min(available, held, spent, expired)).toBeGreaterThanOrEqual(0);
      expect(available + held + spent + expired).toBe(granted);
      expect(held).toBe([...this.holds.values()].reduce((total, draws) => total + (draws.get(id) ?? 0), 0));
    }
    expect([...this.state.holds.keys()]).toEqual([...this.holds.keys()]);
    const balance = balanceOf(this.state, GENESIS_PEG, this.now);
    expect(Math.min(balance.available, balance.held)).toBeGreaterThanOrEqual(0);
    expect(balance.openJobs).toBe(this.holds.size);
  }
}
