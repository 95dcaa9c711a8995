import { describe, expect, it } from "vitest";
import { betterPool, type PoolLoad, poolsToAsk } from "../../../core/scheduler/spill.ts";

const load = (region: string, free: number, waiting = 0, slots = 10): PoolLoad => ({ region, slots, free, waiting });

describe("which pools a job asks", () => {
  it.each([
    ["the nearest, of which nothing is known", "eu", [], ["eu"]],
    ["the nearest while it has a slot to spare", "eu", [load("eu", 1), load("us", 9)], ["eu", "us"]],
    ["another one where the nearest is full", "eu", [load("eu", 0), load("us", 2), load("ap", 5)], ["ap", "eu", "us"]],
    ["another one where as many wait as are free", "eu", [load("eu", 3, 3), load("us", 1)], ["us", "eu"]],
    ["the nearest where nobody has a slot to spare", "eu", [load("eu", 0, 9), load("us", 1, 1)], ["eu", "us"]],
    ["none without daemons but its own", "eu", [load("eu", 0, 0, 0), load("us", 0, 0, 0)], ["eu"]],
    ["those with daemons after its own", "eu", [load("eu", 5), load("us", 0), load("ap", 0, 0, 0)], ["eu", "us"]],
  ])("%s", (_, nearest, loads, asked) => {
    expect(poolsToAsk(nearest, loads)).toEqual(asked);
  });
});

it("finds a job that waits the other pool with the most to spare", () => {
  const loads = [load("eu", 0, 4), load("us", 2), load("ap", 3)];
  expect(betterPool("eu", loads)).toBe("ap");
  expect(betterPool("ap", loads)).toBe("us");
  expect(betterPool("eu", [load("eu", 5), load("us", 2, 2)])).toBeNull();
});
