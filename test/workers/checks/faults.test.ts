/** Failed checks while something breaks: an account, D1, the queue, a row that is missing. In the end all is as without that. */

import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import type { SignedReceipt } from "../../../protocol/receipt.ts";
import type { TestAccount } from "../api/support.ts";
import { auditLog, pack } from "../log/support.ts";
import {
  accountsWith,
  available,
  consumers,
  jobsOf,
  Post,
  PRICE,
  reversalRows,
  STARTER,
  served,
  shownChecks,
  takenBack,
} from "./support.ts";

const bounds: { checkLookRows: number; checkReversals: number; checkRounds: number; listedAccounts: number } = LIMITS;
const usual = { ...bounds };

let post: Post;
let [ada, ben]: TestAccount[] = [];
let wrong: SignedReceipt[] = [];
let failing: SignedReceipt;

beforeEach(async () => {
  post = new Post();
  [ada, ben] = await consumers();
  const [first, second] = both();
  wrong = [await served(first), await served(second), await served(first)];
  failing = await served(second, { failed: "digest" });
});

afterEach(() => void Object.assign(bounds, usual));

const both = (): [TestAccount, TestAccount] => [ada as TestAccount, ben as TestAccount];

async function expectAllBack(): Promise<void> {
  const [first, second] = both();
  expect(await takenBack(first, second)).toEqual(jobsOf(wrong));
  expect([await available(first), await available(second)]).toEqual([STARTER, STARTER]);
  expect(await shownChecks()).toMatchObject([{ state: "done", due: 0, reversed: 3, amount: "246.000" }]);
  await auditLog();
}

it("an account that is away is asked again, later each time, and holds up nobody", async () => {
  const [first, second] = both();
  let asked = 0;
  const ACCOUNT = accountsWith((name, run) =>
    name === first.account && asked++ < 4 ? Promise.reject(new Error("away")) : run(),
  );
  await post.deliver([pack([...wrong, failing])], { ACCOUNT });
  expect([await available(first), await available(second)]).toEqual([STARTER - 2 * PRICE, STARTER]);
  expect(await shownChecks()).toMatchObject([{ state: "reversing", due: 2, reversed: 1 }]);
  const pokes = () =>
    post.sent.flatMap(({ body, delaySeconds }) => ("checks" in (body as object) ? [delaySeconds] : []));
  expect(pokes()).toEqual([10]);
  const messages = post.sent.splice(0);
  // A poke that comes before its time finds nothing to do, and knows when there will be.
  await post.deliver(
    messages.map(({ body }) => body),
    { ACCOUNT },
  );
  expect([asked, pokes()]).toEqual([2, [10]]);
  post.sent.splice(0);
  vi.setSystemTime(Date.now() + 10_000);
  await post.deliver([{ v: 1, checks: "due" }], { ACCOUNT });
  expect([asked, pokes()]).toEqual([4, [40]]);
  await post.quiet({ ACCOUNT });
  await expectAllBack();
});

it("an account whose answer is lost takes its receipt back once", async () => {
  const lost = new Set<string>();
  const ACCOUNT = accountsWith(async (name, run) => {
    const answer = await run();
    if (lost.has(name)) return answer;
    lost.add(name);
    throw new Error("the answer was lost");
  });
  await post.append([...wrong, failing], { ACCOUNT });
  expect(lost.size).toBe(2);
  await expectAllBack();
});

it("an account that says no is told to operators, and keeps nobody else's", async () => {
  const [first] = both();
  const refusal = { type: "refused", refusal: { code: "nothing_to_reverse" } };
  const ACCOUNT = accountsWith((name, run) => (name === first.account ? Promise.resolve(refusal) : run()));
  await post.append([...wrong, failing], { ACCOUNT });
  expect(await shownChecks()).toMatchObject([{ state: "done", reversed: 1, refused: 2, amount: "82.000" }]);
  const codes = (await reversalRows()).map(({ refusal: code }) => code);
  expect(codes.filter((code) => code === "nothing_to_reverse")).toHaveLength(2);
});

it("an account that was opened before there was a list of them is found by its journal", async () => {
  const [first, second] = both();
  await env.DB.prepare("DELETE FROM accounts").run();
  vi.setSystemTime(Date.now() + LIMITS.accountAlarmMs);
  for (const { account } of [first, second]) await runDurableObjectAlarm(env.ACCOUNT.getByName(account));
  await post.quiet();
  bounds.listedAccounts = 1;
  await post.append([...wrong, failing]);
  await expectAllBack();
  const { results } = await env.DB.prepare("SELECT id, opened_at FROM accounts").all<{ opened_at: number }>();
  expect(results.map(({ opened_at }) => opened_at > 0)).toEqual([true, true]);
});

it("a receipt whose account nobody knows waits, and says so, until it is known", async () => {
  const [first, second] = both();
  const listed = "SELECT * FROM accounts WHERE id = ?1";
  const row = await env.DB.prepare(listed).bind(first.account).first<{ pseudonym: string }>();
  await env.DB.prepare("DELETE FROM accounts WHERE id = ?1").bind(first.account).run();
  const log = vi.spyOn(console, "log");
  await post.deliver([pack([...wrong, failing])]);
  const told = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>);
  expect(told.filter(({ event }) => event === "check_waits_for_account")).toMatchObject([
    { consumer: row?.pseudonym },
    { consumer: row?.pseudonym },
  ]);
  expect([await available(first), await available(second)]).toEqual([STARTER - 2 * PRICE, STARTER]);
  expect(await shownChecks()).toMatchObject([{ state: "reversing", due: 2 }]);
  // By and by the account tells the journal of itself.
  vi.setSystemTime(Date.now() + LIMITS.accountAlarmMs);
  await runDurableObjectAlarm(env.ACCOUNT.getByName(first.account));
  await post.quiet();
  await expectAllBack();
});

it("goes on over as many steps as it takes, each of them bounded", async () => {
  Object.assign(bounds, { checkLookRows: 2, checkReversals: 1, checkRounds: 1 });
  await post.deliver([pack([...wrong, failing])]);
  expect(await shownChecks()).toMatchObject([{ state: "looking" }]);
  let steps = 0;
  const ACCOUNT = accountsWith((_, run) => (steps++, run()));
  await post.quiet({ ACCOUNT });
  expect(steps).toBeGreaterThan(1);
  await expectAllBack();
});

it("brings the batch again where nobody could be told to go on", async () => {
  const away = { ACCOUNT: accountsWith(() => Promise.reject(new Error("away"))) };
  const send = vi.spyOn(Object.getPrototypeOf(env.RECEIPTS) as Queue, "send");
  send.mockRejectedValueOnce(new Error("the queue is away"));
  const bodies = [pack([...wrong, failing])];
  const { summary, acked } = await post.deliver(bodies, away);
  expect([summary.error, acked]).toEqual(["the queue is away", false]);
  expect((await post.deliver(bodies, away)).acked).toBe(true);
  await post.quiet();
  await expectAllBack();
});

it("goes on with the next receipts, whosever they are, where every word to go on was lost", async () => {
  const away = { ACCOUNT: accountsWith(() => Promise.reject(new Error("away"))) };
  await post.deliver([pack([...wrong, failing])], away);
  post.sent.splice(0);
  const honest = await served(both()[0], { daemon: "honest" });
  await post.append([honest]);
  expect(await shownChecks()).toMatchObject([{ state: "reversing", due: 3 }]);
  vi.setSystemTime(Date.now() + 10_000);
  await post.append([await served(both()[0], { daemon: "honest" })]);
  expect(await shownChecks()).toMatchObject([{ state: "done", reversed: 3 }]);
});

/** D1 in which one call fails: before anything is done, or after it was done and before anybody hears of it. */
function brokenAt(call: number, when: "before" | "after"): { DB: D1Database; calls: () => number } {
  let calls = 0;
  const breaking = async (run: () => Promise<unknown>): Promise<unknown> => {
    const fails = calls++ === call;
    if (fails && when === "before") throw new Error("D1 is away");
    const result = await run();
    if (fails) throw new Error("the answer was lost");
    return result;
  };
  const watch = (statement: D1PreparedStatement): D1PreparedStatement =>
    new Proxy(statement, {
      get(target, name) {
        const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
        if (name === "bind") return (...values: unknown[]) => watch(target.bind(...values));
        if (name === "statement" || typeof method !== "function") return method;
        return (...args: unknown[]) => breaking(async () => await Reflect.apply(method, target, args));
      },
    });
  const DB = new Proxy(env.DB, {
    get(target, name) {
      if (name === "prepare") return (sql: string) => watch(target.prepare(sql));
      if (name === "batch") return (statements: D1PreparedStatement[]) => breaking(() => target.batch(statements));
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { DB, calls: () => calls };
}

it.each(["before", "after"] as const)("any call of D1 may fail (%s it is done)", { timeout: 60_000 }, async (when) => {
  const [first, second] = both();
  const bodies = [pack([...wrong, failing])];
  const whole = brokenAt(-1, when);
  // What a delivery asks of D1 is counted on the first one; each later one begins anew with other receipts.
  await post.deliver(bodies, whole);
  await post.quiet();
  await expectAllBack();
  expect(whole.calls()).toBeGreaterThan(8);
  for (let call = 0; call < whole.calls(); call++) {
    const receipts = [await served(first), await served(second), await served(second, { failed: "digest" })];
    const { DB } = brokenAt(call, when);
    const { acked } = await post.deliver([pack(receipts)], { DB });
    // What was not acknowledged comes again.
    if (!acked) await post.deliver([pack(receipts)]);
    await post.quiet();
    expect([call, await available(first), await available(second)]).toEqual([call, STARTER, STARTER]);
    expect((await shownChecks())[0]).toMatchObject({ state: "done", due: 0, reversed: 2 });
  }
  await auditLog();
});
