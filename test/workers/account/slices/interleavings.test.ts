/** An account and its slices under random interleavings of everything that may happen to them. */

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, inject, it, vi } from "vitest";
import { type JobId, type KeyId, sliceOf } from "../../../../core/ids.ts";
import { LIMITS } from "../../../../core/limits.ts";
import { hashText } from "../../../../core/receipt/canonical.ts";
import type { Account } from "../../../../durable-objects/account/index.ts";
import { AccountSlice } from "../../../../durable-objects/account-slice/index.ts";
import type { SliceRpc } from "../../../../protocol/internal/slice.ts";
import "../../../model-settings.ts";
import { idOf } from "../../../support/receipts.ts";
import { type Bank, balance, bankOf, factsOf, holdOf, JOB_PRICE } from "../bank.ts";
import { HEAT, holdAnywhere, onTheWay, openRich, realLease, sliceJob, sliceOfBank, sumOfAll } from "./hot-bank.ts";

/** Each costs as much as ten of the account's model: `ACCOUNT_MODEL_RUNS=4000` plays 400 of them, under a new seed. */
const { runs, seed } = inject("accountModel");
const RUNS = Math.ceil(runs / 10);
const WORTH = 1_000;
/** More than an account that has just become hot lends to. */
const SLICES = 3;

type Fate = "carried out" | "lost before" | "lost after" | "unanswered by its slice";

type Step =
  | { readonly do: "heat"; readonly fate: Fate }
  | { readonly do: "hold" | "evict" | "alarm"; readonly at: number }
  | { readonly do: "post" | "void" | "reverse"; readonly which: number }
  | { readonly do: "key" | "all" }
  | { readonly do: "wait"; readonly ms: number };

const at = fc.nat(SLICES);
const which = fc.nat(20);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("heat" as const), fate: fate() }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("hold" as const), at }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("evict" as const, "alarm" as const), at }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("post" as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("void" as const, "reverse" as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("key" as const, "all" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(500, 5_000, 21_000, 62_000) }),
  },
);

function fate(): fc.Arbitrary<Fate> {
  return fc.constantFrom("carried out", "carried out", "lost before", "lost after", "unanswered by its slice");
}

let worlds = 0;

class World {
  readonly #name = `interleaving ${worlds++}`;
  readonly #jobs: JobId[] = [];
  readonly #posted = new Set<JobId>();
  readonly #voided = new Set<JobId>();
  readonly #reversed = new Set<JobId>();
  #keys = 0;

  async open(): Promise<void> {
    await openRich(WORTH, this.#name);
  }

  /** Made anew for each use: what spoke to a lost object stays broken. */
  get bank(): Bank {
    return bankOf(this.#name);
  }

  stubAt(place: number): DurableObjectStub {
    return place === 0 ? this.bank.stub : sliceOfBank(this.bank, place).stub;
  }

  async perform(next: Step): Promise<void> {
    switch (next.do) {
      case "heat":
        return await this.#heat(next.fate);
      case "hold": {
        const { job, answer } = await holdAnywhere(this.bank, next.at);
        if (answer.type === "held") this.#jobs.push(job);
        return;
      }
      case "evict":
        // One that does not run cannot be lost.
        return await evictDurableObject(this.stubAt(next.at)).catch(() => {});
      case "alarm":
        await runDurableObjectAlarm(this.stubAt(next.at));
        return;
      case "post":
        return await this.#end(next.which, async (job) => {
          const result = await this.#holder(job).post(factsOf(job));
          if (result.type === "posted") this.#posted.add(job);
          else expect(this.#voided.has(job)).toBe(true);
        });
      case "void":
        return await this.#end(next.which, async (job) => {
          const { type } = await this.#holder(job).void(job, "test");
          if (type === "voided") this.#voided.add(job);
          else expect(this.#posted.has(job)).toBe(true);
        });
      case "reverse":
        return await this.#end(next.which, async (job) => {
          const { type } = await this.#holder(job).reverse({ job, reason: "wrong", by: ["ann", "ben"] });
          expect(type).toBe(this.#posted.has(job) ? "reversed" : "refused");
          if (type === "reversed") this.#reversed.add(job);
        });
      case "key": {
        const name = `${this.#name}, key ${this.#keys++}`;
        const key = { id: idOf(name) as unknown as KeyId, name: "key", secretHash: hashText(name) };
        await this.bank.rpc.createKey(this.bank.credentials, key);
        await this.bank.rpc.revokeKey(this.bank.credentials, key.id);
        return;
      }
      case "all": {
        // More than is anywhere: everything is called in before it is refused.
        const request = holdOf(this.bank, { job: sliceJob(0), completion: 1_000 * WORTH * 2 });
        expect(await this.bank.rpc.hold(request)).toMatchObject({ type: "soft_stop" });
        return;
      }
      case "wait":
        vi.setSystemTime(Date.now() + next.ms);
    }
  }

  async #heat(what: Fate): Promise<void> {
    const spy = vi.spyOn(AccountSlice.prototype, "lease").mockImplementation(async function (
      this: AccountSlice,
      lease,
    ) {
      if (what === "lost before") throw new Error("lost");
      const report = await realLease.call(this, lease);
      if (what === "lost after") throw new Error("lost");
      return report;
    });
    if (what === "unanswered by its slice") spy.mockRejectedValueOnce(new Error("lost"));
    const { bank } = this;
    await runInDurableObject(bank.stub, async (object) => {
      const account = object as unknown as Account;
      for (let i = 0; i < HEAT; i++) {
        const request = holdOf(bank, { job: sliceJob(0) });
        await account.hold(request);
        await account.void(request.job, "test");
      }
    });
    // The leases are on their way.
    await new Promise((resolve) => setTimeout(resolve, 20));
    spy.mockRestore();
  }

  async #end(index: number, end: (job: JobId) => Promise<void>): Promise<void> {
    const job = this.#jobs[index % Math.max(1, this.#jobs.length)];
    if (job !== undefined) await end(job);
  }

  #holder(job: JobId): Pick<SliceRpc, "post" | "void" | "reverse"> {
    return sliceOf(job) === 0 ? this.bank.rpc : sliceOfBank(this.bank, sliceOf(job)).rpc;
  }

  /** What the account has in all: what it got less what its jobs cost, whatever is where. */
  get total(): number {
    return (WORTH - this.#posted.size + this.#reversed.size) * JOB_PRICE;
  }

  /** Until nothing is open, lent or on its way. */
  async rest(): Promise<void> {
    for (const job of this.#jobs) if (!this.#posted.has(job)) await this.#holder(job).void(job, "end");
    for (let round = 0; round < 2; round++) {
      vi.setSystemTime(Date.now() + LIMITS.sliceLeaseMs + LIMITS.accountAlarmMs);
      const places = Array.from({ length: LIMITS.slices + 1 }, (_, place) => place);
      for (const place of [...places, 0]) await runDurableObjectAlarm(this.stubAt(place));
    }
  }
}

it(
  `keeps every unit in ${RUNS} networks of seed ${seed}`,
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25, size: "max" }), async (steps) => {
        const world = new World();
        await world.open();
        for (const next of steps) {
          await world.perform(next);
          // In its chains or on its way, and nowhere twice.
          expect((await sumOfAll(world.bank)) + (await onTheWay(world.bank))).toBe(world.total);
        }
        await world.rest();
        expect(await onTheWay(world.bank)).toBe(0);
        expect(await balance(world.bank)).toEqual({ available: world.total, held: 0 });
        expect(await sumOfAll(world.bank)).toBe(world.total);
      }),
      { numRuns: RUNS, seed },
    );
  },
  30_000 + 10_000 * RUNS,
);
