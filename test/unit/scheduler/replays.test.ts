/** What relays tell a pool may come twice and late; slots must be neither sold twice nor lost by it. */

import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Lease, Pool } from "../../../core/scheduler/pool.ts";
import { daemon, fences, job, poolOf, running, START } from "./support.ts";

const SLOTS = 3;

type Report = (pool: Pool) => void;

const step = fc.record({
  do: fc.constantFrom("come", "dispatch", "begin", "end"),
  which: fc.nat(9),
  /** After how many steps the same report comes once more. */
  again: fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 2 }),
});

it("keeps a slot for exactly as long as its job runs, whatever is reported twice and late", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) => {
      const pool = poolOf(["a", "b"].map((name) => daemon(name, { slots: SLOTS })));
      const next = fences();
      const live: Lease[] = [];
      const later = new Map<number, Report[]>();
      let jobs = 0;
      const check = (): void => {
        for (const { daemon: id, running, slots } of pool.daemons.values()) {
          expect(running.size).toBeLessThanOrEqual(slots);
          const own = live.filter((lease) => lease.daemon === id).map((lease) => lease.job);
          expect([...running].toSorted()).toEqual(own.toSorted());
        }
      };
      for (const [index, { do: what, which, again }] of steps.entries()) {
        const lease = live[which % Math.max(1, live.length)];
        let report: Report | null = null;
        if (what === "come") pool.enqueue(job(`job ${jobs++}`));
        else if (what === "dispatch") live.push(...pool.dispatch(START, next).map((dispatch) => dispatch.lease));
        else if (lease !== undefined && what === "begin") report = (told) => told.running(lease, START);
        else if (lease !== undefined) {
          report = (told) => told.ended(lease.job, lease.fence, { prompt: 0, completion: 10 }, START);
          live.splice(live.indexOf(lease), 1);
        }
        const reports = [...(later.get(index) ?? []), ...(report === null ? [] : [report])];
        for (const told of reports) told(pool);
        if (report !== null) {
          for (const steps of again) later.set(index + steps, [...(later.get(index + steps) ?? []), report]);
        }
        check();
      }
    }),
    { numRuns: 300 },
  );
});

it("still adopts what an earlier life of the pool granted", () => {
  const pool = poolOf([daemon("a", { slots: 2 })]);
  pool.enqueue(job("new"));
  pool.dispatch(START, () => 100);
  pool.running(running("old", 99), START);
  expect([...pool.daemons.values()].map((each) => [...each.running])).toEqual([["new", "old"]]);
});
