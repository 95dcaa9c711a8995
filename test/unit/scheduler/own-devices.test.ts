import { expect, it } from "vitest";
import { type AccountId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import type { Pool } from "../../../core/scheduler/pool.ts";
import { daemon, fences, job, order, ownJob, poolOf, START } from "./support.ts";

const mine = (name: string) => daemon(name, { provider: "me" as AccountId });
const served = (pool: Pool, next = fences()) =>
  pool.dispatch(START, next).map((dispatch) => [dispatch.job.job, dispatch.daemon.daemon]);

it("serves a job on the account's own daemon, ahead of all others, and on nobody else's", () => {
  const pool = poolOf([mine("a"), daemon("b")]);
  pool.enqueue(job("first", { account: "other" }));
  pool.enqueue(job("second", { account: "other" }));
  pool.enqueue(ownJob("own", "me"));
  pool.enqueue(ownJob("next", "me"));
  expect(served(pool)).toEqual([
    ["own", "a"],
    ["first", "b"],
  ]);
  expect(pool.position(job("next").job)).toBe(1);
});

it("does not let jobs that wait for own daemons stand in anybody's way", () => {
  const pool = poolOf([daemon("a"), { ...mine("b"), slots: 1 }]);
  for (let n = 0; n < 5; n++) pool.enqueue(ownJob(`own ${n}`, "me"));
  pool.enqueue(job("other", { account: "other" }));
  expect(served(pool)).toEqual([
    ["own 0", "b"],
    ["other", "a"],
  ]);
});

it("charges no flow: an account that uses its own daemons loses nothing of its share of others'", () => {
  const pool = poolOf([{ ...mine("a"), slots: 50 }]);
  for (let n = 0; n < 20; n++) pool.enqueue(ownJob(`own ${n}`, "me"));
  expect(order(pool)).toHaveLength(20);
  pool.register(daemon("b"), START);
  pool.unregister(daemon("a").daemon, "relay/0", START);
  for (const name of ["x", "y"]) {
    pool.enqueue(job(`${name} of other`, { account: "other" }));
    pool.enqueue(job(`${name} of me`, { account: "me" }));
  }
  expect(order(pool).map(({ account }) => account)).toEqual(["other", "me", "other", "me"]);
});

it("asks for no electricity, and takes an own daemon that wants USDC", () => {
  const pool = poolOf([{ ...mine("a"), accepts: "usdc" }]);
  pool.enqueue(ownJob("own", "me", { rate: { completion: 0, prompt: 0, per: 1 } }));
  expect(served(pool)).toEqual([["own", "a"]]);
});

it("refuses by name a job that no own daemon can serve, after the time that an empty pool is given", () => {
  const pool = poolOf([daemon("b"), { ...mine("a"), context: 10 }]);
  pool.enqueue(ownJob("own", "me"));
  expect(served(pool)).toEqual([]);
  expect(pool.rejections(START + LIMITS.emptyPoolMs - 1)).toEqual([]);
  const [rejection] = pool.rejections(START + LIMITS.emptyPoolMs);
  expect(rejection?.refusal).toMatchObject({ code: "no_provider", metadata: { passed_over: ["context"] } });
  expect(pool.waiting).toBe(0);
});

it("lets one wait for its busy daemon, and then be late", () => {
  const pool = poolOf([mine("a")]);
  pool.enqueue(ownJob("one", "me"));
  served(pool);
  pool.enqueue(ownJob("two", "me"));
  expect(pool.rejections(START + 59_999)).toEqual([]);
  expect(pool.rejections(START + 60_000)).toMatchObject([{ refusal: { code: "queue_timeout" } }]);
});

it("takes so many of one account, and those of others all the same", () => {
  const pool = poolOf();
  for (let n = 0; n < LIMITS.ownWaiting; n++) expect(pool.enqueue(ownJob(`own ${n}`, "me"))).toBeNull();
  expect(pool.enqueue(ownJob("one more", "me"))).toMatchObject({ code: "queue_full" });
  expect(pool.enqueue(ownJob("theirs", "you"))).toBeNull();
  expect(pool.withdraw(job("own 0").job, START)).toBe(true);
  expect(pool.enqueue(ownJob("one more", "me"))).toBeNull();
});
