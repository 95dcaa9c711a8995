import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Agenda } from "../../../core/scheduler/agenda.ts";

interface Item {
  readonly at: number;
  isVoid: boolean;
}

const someItems = fc.array(fc.record({ at: fc.integer({ min: 0, max: 50 }), isVoid: fc.boolean() }), { maxLength: 60 });
const agendaOf = (items: readonly Item[]): Agenda<Item> => {
  const agenda = new Agenda<Item>(({ isVoid }) => !isVoid);
  for (const item of items) agenda.add(item, item.at);
  return agenda;
};
const timesOf = (items: Iterable<Item>) => [...items].map(({ at }) => at).sort((a, b) => a - b);
const earliest = (items: readonly Item[]) => Math.min(Number.POSITIVE_INFINITY, ...items.map(({ at }) => at));

it("says what is due and what comes next, of what stands", () => {
  fc.assert(
    fc.property(someItems, fc.integer({ min: 0, max: 50 }), (items, now) => {
      const agenda = agendaOf(items);
      const standing = items.filter(({ isVoid }) => !isVoid);
      const due = standing.filter(({ at }) => at <= now);
      const later = standing.filter(({ at }) => at > now);
      for (let times = 0; times < 2; times++) {
        expect(timesOf(agenda.look(now).due)).toEqual(timesOf(due));
        expect(agenda.look(now).next).toBe(earliest(later));
        expect(agenda.next).toBe(earliest(standing));
      }
      expect(agenda.take(now).map(({ at }) => at)).toEqual(timesOf(due));
      expect(agenda.next).toBe(earliest(later));
    }),
  );
});

it("forgets what is void, however much of it there is before what stands", () => {
  const items = Array.from({ length: 10_000 }, (_, at) => ({ at: at % 100, isVoid: at > 5 }));
  let asked = 0;
  const agenda = new Agenda<Item>(({ isVoid }) => {
    asked += 1;
    return !isVoid;
  });
  for (const item of items) agenda.add(item, item.at);
  // Each is asked about a few times at most, and what is left is little.
  expect(asked).toBeLessThan(2 * items.length);
  asked = 0;
  expect(timesOf(agenda.look(100).due)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(asked).toBeLessThan(300);
});
