/** Of the attempts in a race one at most is seen, whatever is asked twice, late, or of a scheduler that was lost meanwhile. */

import * as fc from "fast-check";
import { expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { Contest } from "../../../durable-objects/relay/contest.ts";
import { Races } from "../../../durable-objects/scheduler/races.ts";
import { SCHEDULER_MIGRATIONS } from "../../../durable-objects/scheduler/schema.ts";
import { MemoryStorage } from "../../support/accounts/storage.ts";
import { START } from "./support.ts";

const storage = new MemoryStorage(SCHEDULER_MIGRATIONS);
const RACE = 7;

const happening = fc.record({
  /** Which attempt does something, and what: it takes a step, its question arrives, its answer comes back. */
  who: fc.nat(2),
  what: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom("step", "arrives", "answer") },
    { weight: 1, arbitrary: fc.constantFrom("arrives twice", "answer is lost", "restart", "told") },
  ),
});

interface Side {
  readonly contest: Contest;
  readonly taken: number[];
  steps: number;
  /** The answer that is on its way to it. */
  answer: { resolve: (hasWon: boolean) => void; reject: (error: Error) => void; said: boolean | null } | null;
  lost: number;
}

it("lets one win", async () => {
  let decided = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 20, maxLength: 80 }), async (events) => {
      storage.clear();
      let races = new Races(storage.sql);
      const sides = [0, 1, 2].map(() => sideOf());
      const ask = (who: number) => races.win(RACE, RACE + who, START);
      for (const { who, what } of events) {
        const side = sides[who] ?? sideOf();
        const { answer } = side;
        if (what === "restart") races = new Races(storage.sql);
        if (what === "step") {
          const step = side.steps++;
          if (!side.contest.holdsBack(() => side.taken.push(step))) side.taken.push(step);
        } else if (answer !== null) {
          if (what.startsWith("arrives")) answer.said = ask(who);
          if (what === "arrives twice") expect(ask(who)).toBe(answer.said);
          if (what === "answer" && answer.said !== null) answer.resolve(answer.said);
          if (what === "answer is lost") answer.reject(new Error("lost"));
          // The scheduler tells those that another one was faster than.
          if (what === "told" && answer.said === false) side.contest.lose();
          await new Promise(setImmediate);
        }
      }
      const winners = sides.filter(({ taken }) => taken.length > 0);
      expect(winners.length).toBeLessThanOrEqual(1);
      for (const { taken, steps, lost } of sides) {
        expect(lost).toBeLessThanOrEqual(1);
        if (taken.length > 0) expect([taken, lost]).toEqual([Array.from({ length: steps }, (_, step) => step), 0]);
      }
      decided += winners.length;
    }),
    { numRuns: 500 },
  );
  // Enough of these lives must have come to something.
  expect(decided).toBeGreaterThan(100);
});

function sideOf(): Side {
  const side: Omit<Side, "contest"> & { contest?: Contest } = { taken: [], steps: 0, answer: null, lost: 0 };
  side.contest = new Contest(RACE, {
    win: () => {
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      side.answer = { resolve, reject, said: null };
      return promise;
    },
    won: () => {},
    lost: () => void (side.lost += 1),
  });
  return side as Side;
}

it("asks nobody while it is alone, and keeps what waits within bounds", () => {
  let lost = 0;
  const contest = new Contest(null, { win: () => new Promise(() => {}), won: () => {}, lost: () => void (lost += 1) });
  expect(contest.holdsBack(() => {})).toBe(false);
  contest.begin(RACE);
  for (let sent = 100_000; sent <= LIMITS.streamMostBytes; sent += 100_000) {
    expect([contest.holdsBack(() => {}, 100_000), lost]).toEqual([true, 0]);
  }
  contest.holdsBack(() => {}, 100_000);
  expect(lost).toBe(1);
});

it("remembers a race for as long as a hold may live, and then forgets it with later ones", () => {
  storage.clear();
  const races = new Races(storage.sql);
  for (let race = 1; race <= 10; race++) races.win(race, race, START + race);
  const kept = () => storage.sql.exec<{ race: number }>("SELECT race FROM races ORDER BY race").toArray();
  expect(kept()).toHaveLength(10);
  races.win(11, 12, START + LIMITS.raceKeptMs + 1);
  expect(kept().map(({ race }) => race)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  races.win(13, 13, START + 2 * LIMITS.raceKeptMs);
  expect(kept().map(({ race }) => race)).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 13]);
  expect(races.win(11, 11, START + 2 * LIMITS.raceKeptMs)).toBe(false);
});
