/** Starter balances for who was given a code. */

import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { DAY_MS } from "../../../core/time.ts";
import { testSecrets } from "../../secrets.ts";
import { type Answer, call, callWith, openAccount, type TestAccount } from "../api/support.ts";

let [first, second]: TestAccount[] = [];
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  await env.DB.prepare("DELETE FROM starters").run();
  first = await openAccount("code-first", false);
  second = await openAccount("code-second", false);
});
afterEach(() => vi.useRealTimers());

const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString();
const make = (body: object, key = testSecrets.ADMIN_KEY): Promise<Answer> =>
  call("/api/v1/admin/starter-codes", { key, body: { id: "meetup", count: 1, expires_at: inDays(3), ...body } });
const codes = async (body: object = {}): Promise<string[]> => (await make(body)).json.codes;
const use = (code: string, account: TestAccount | undefined, bindings: object = {}) =>
  callWith(bindings, "/api/v1/starter", { key: account?.key ?? "", body: { code } });
const told = ({ status, json }: Answer) => [status, json.starter ?? json.code];
const available = async (account: TestAccount | undefined) =>
  (await call("/api/v1/balance", { key: account?.key ?? "" })).json.available;

it("brings one account its starter balance, once", async () => {
  const [code = "", other = ""] = await codes({ count: 2 });
  expect(told(await use(code, first))).toEqual([200, "granted"]);
  expect(told(await use(code, first))).toEqual([200, "granted_before"]);
  expect(told(await use(other, first))).toEqual([200, "granted_before"]);
  expect(await available(first)).toBe("1200.000");
  expect(told(await use(code, second))).toEqual([400, "invalid_starter_code"]);
  expect(await available(second)).toBe("0.000");
  // The second code was not spent on an account that has a balance.
  expect(told(await use(other, second))).toEqual([200, "granted"]);
});

it("is one account's, however many use it at once", async () => {
  const [code = ""] = await codes();
  const all = await Promise.all([first, second, first, second].map((account) => use(code, account)));
  expect(all.map(told).filter(([, what]) => what === "granted").length).toBeLessThanOrEqual(1);
  const have = await Promise.all([available(first), available(second)]);
  expect(have.toSorted()).toEqual(["0.000", "1200.000"]);
});

it("waits for tomorrow where the day's budget is spent", async () => {
  const [code = "", other = ""] = await codes({ count: 2 });
  const bindings = { TOLLMILL_PARAMETERS: JSON.stringify({ starterDailyMillicredits: 1_200_000 }) };
  expect(told(await use(code, first, bindings))).toEqual([200, "granted"]);
  expect(told(await use(other, second, bindings))).toEqual([200, "budget_spent"]);
  vi.setSystemTime(Date.now() + DAY_MS);
  expect(told(await use(other, second, bindings))).toEqual([200, "granted"]);
});

it("ends at its time, and is made by operators for a time to come alone", async () => {
  const [code = ""] = await codes();
  vi.setSystemTime(Date.now() + 3 * DAY_MS);
  const late = await use(code, first);
  expect([...told(late), late.json.detail]).toEqual([400, "invalid_starter_code", expect.stringContaining("expired")]);
  expect((await make({ expires_at: inDays(-1) })).json).toMatchObject({ code: "invalid_request", param: "expires_at" });
  expect((await make({}, first?.key)).status).toBe(401);
});

it("is used by who may manage the account", async () => {
  const [code = ""] = await codes();
  const made = await call("/api/v1/keys", { key: first?.key ?? "", body: { name: "reader", scopes: ["read"] } });
  const answer = await callWith({}, "/api/v1/starter", { key: made.json.key, body: { code } });
  expect([answer.status, answer.json.code]).toEqual([403, "forbidden"]);
});
