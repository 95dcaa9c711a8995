import { beforeEach, expect, it, vi } from "vitest";
import { DueTimes } from "../../../durable-objects/shared/due-times.ts";

const START = Date.UTC(2026, 10, 22, 12);

let times: DueTimes;
let ran: string[];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: START });
  times = new DueTimes();
  ran = [];
});

const set = (owner: object, ms: number, name: string) =>
  times.set(owner, Date.now() + ms, () => void ran.push(`${name} at ${Date.now() - START}`));

it("runs what is due when it is due, however it was set", () => {
  set({}, 300, "later");
  set({}, 100, "sooner");
  set({}, 200, "between");
  vi.advanceTimersByTime(1_000);
  expect(ran).toEqual(["sooner at 100", "between at 200", "later at 300"]);
});

it("keeps one due time for each owner, and none for one that has nothing due any more", () => {
  const [changed, cleared] = [{}, {}];
  set(changed, 100, "first");
  set(cleared, 150, "cleared");
  set(changed, 200, "second");
  times.clear(cleared);
  vi.advanceTimersByTime(1_000);
  expect(ran).toEqual(["second at 200"]);
});

it("lets what runs set itself anew and clear what is due in the same moment", () => {
  const [again, other] = [{}, {}];
  times.set(again, START + 100, () => {
    times.clear(other);
    set(again, 100, "again");
  });
  set(other, 100, "other");
  vi.advanceTimersByTime(1_000);
  expect(ran).toEqual(["again at 200"]);
});

it("still runs the others when one throws", () => {
  times.set({}, START + 100, () => {
    throw new Error("broken");
  });
  set({}, 100, "neighbour");
  set({}, 200, "later");
  expect(() => vi.advanceTimersByTime(100)).toThrow("broken");
  vi.advanceTimersByTime(1_000);
  expect(ran).toEqual(["neighbour at 101", "later at 200"]);
});

it("clears no timer while jobs overlap, and leaves none behind the last of them", () => {
  const cleared = vi.spyOn(globalThis, "clearTimeout");
  const last = {};
  set(last, 60_000, "never");
  for (let job = 0; job < 100; job++) {
    const owner = {};
    set(owner, 1_000, "accept");
    set(owner, 250, "report");
    set(owner, 15_000, "comment");
    vi.advanceTimersByTime(50);
    times.clear(owner);
  }
  expect(cleared).not.toHaveBeenCalled();
  times.clear(last);
  expect(vi.getTimerCount()).toBe(0);
  expect(ran).toEqual([]);
});
