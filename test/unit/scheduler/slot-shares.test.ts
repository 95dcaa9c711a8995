import * as fc from "fast-check";
import { expect, it } from "vitest";
import { SlotShares } from "../../../durable-objects/relay/slot-shares.ts";
import { daemon, fences, job, poolOf, START } from "./support.ts";

const SLOTS = 3;
const MODELS = ["a", "b", "c"];
const DAEMON = "daemon" as never;

/** Two pools' view of one daemon, as it is told them. */
function relay() {
  const told = new Map<string, number>();
  const shares = new SlotShares({
    slotsOf: () => SLOTS,
    modelsOf: () => MODELS,
    tell: (model, _, jobs) => told.set(model, jobs),
  });
  return { shares, told };
}

it("never lets a pool think that less is free than is, and tells it when nothing is", () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...MODELS), fc.boolean()), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (all) => {
      const { shares, told } = relay();
      const running = new Map(MODELS.map((model) => [model, 0]));
      const total = () => [...running.values()].reduce((sum, jobs) => sum + jobs, 0);
      for (const [model, starts] of all) {
        const jobs = running.get(model) ?? 0;
        if (starts ? total() === SLOTS : jobs === 0) continue;
        running.set(model, jobs + (starts ? 1 : -1));
        if (starts) shares.started(DAEMON, model);
        else shares.ended(DAEMON, model);
        expect(shares.isFull(DAEMON)).toBe(total() === SLOTS);
        for (const each of MODELS) {
          const elsewhere = total() - (running.get(each) ?? 0);
          expect(told.get(each) ?? 0).toBeLessThanOrEqual(elsewhere);
          if (total() === SLOTS) expect(told.get(each) ?? 0).toBe(elsewhere);
        }
      }
    }),
  );
});

it("leaves a daemon's slots to the pools that use them, and has them back", () => {
  const pool = poolOf([daemon("one", { slots: 3, sharedSlots: 3, elsewhere: 2 })]);
  for (const name of ["1", "2", "3"]) pool.enqueue(job(name));
  const next = fences();
  expect(pool.dispatch(START, next)).toHaveLength(1);
  pool.elsewhere("one" as never, 1);
  expect(pool.dispatch(START, next)).toHaveLength(1);
  pool.elsewhere("one" as never, 3);
  pool.ended("1" as never, 1, null, START);
  expect(pool.dispatch(START, next)).toEqual([]);
  pool.elsewhere("one" as never, 0);
  expect(pool.dispatch(START, next)).toHaveLength(1);
});
