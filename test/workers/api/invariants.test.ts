import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { pseudonymOf } from "../../../workers/auth.ts";
import { configOf } from "../../../workers/config.ts";
import { signText } from "../../support/receipts.ts";
import { deliver } from "../log/support.ts";
import { ADMIN, call, callWith, holdJob, openAccount, settleJob, type TestAccount } from "./support.ts";

let sent: unknown[] = [];

beforeEach(() => {
  sent = [];
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.spyOn(Object.getPrototypeOf(env.RECEIPTS) as Queue, "send").mockImplementation((body) => {
    sent.push(body);
    return Promise.resolve({} as QueueSendResponse);
  });
});

/** What everybody may see; each time computed anew, as the bindings are others. */
const ask = async () => (await callWith({}, "/api/v1/invariants")).json;

interface Shown {
  readonly name: string;
  readonly of: string;
  readonly difference: string;
  readonly ok: boolean;
}
const wrong = (invariants: readonly Shown[]) =>
  invariants.filter(({ ok }) => !ok).map(({ name, of, difference }) => [name, of, difference]);

const stubOf = ({ account }: TestAccount) => env.ACCOUNT.getByName(account) as unknown as DurableObjectStub;

/** How an account is named where everybody may see it. */
const shown = ({ account }: TestAccount) => pseudonymOf(account, configOf(env));

/** Lets the accounts bring what D1 lacks. */
async function catchUp(...accounts: readonly TestAccount[]): Promise<void> {
  vi.setSystemTime(Date.now() + LIMITS.accountAlarmMs);
  for (const account of accounts) await runDurableObjectAlarm(stubOf(account));
  await deliver(sent.splice(0));
}

/** A network in which something of every kind has happened. */
async function lively(): Promise<[TestAccount, TestAccount]> {
  const [first, second] = [await openAccount("first"), await openAccount("second", false)];
  const credit = (body: object) => call(`/api/v1/admin/accounts/${first.account}/credits`, { key: ADMIN, body });
  await credit({ id: "paid", kind: "topup", amount: "0.0001" });
  const expires_at = new Date(Date.now() + 60_000).toISOString();
  await credit({ id: "short", kind: "bonus", amount: "7", expires_at });
  const jobs = [await holdJob(first), await holdJob(first)];
  for (const job of jobs) sent.push({ v: 1, receipts: [signText(await settleJob(first, job))] });
  await first.object.reverse({ job: jobs[0] as (typeof jobs)[0], reason: "wrong", by: ["a", "b"] });
  const body = { to: second.account, amount: "40", id: "t" };
  expect((await call("/api/v1/transfers", { key: first.key, body })).status).toBe(200);
  await catchUp(first, second);
  await catchUp(first, second);
  return [first, second];
}

it("hold in a lively network", async () => {
  await lively();
  const answer = await callWith({}, "/api/v1/invariants");
  expect(answer.headers.get("cache-control")).toBe("public, max-age=10");
  const { ok, at, invariants, in_transfer, spot_check } = answer.json;
  expect(Date.parse(at)).toBe(Date.now());
  expect(wrong(invariants)).toEqual([]);
  expect(spot_check).toEqual({ accounts: 2, entries: 6, differences: [] });
  expect([ok, in_transfer]).toEqual([true, "0"]);
  const sides = Object.fromEntries(
    invariants.map(({ name, of, unit, left }: Record<string, string>) => [`${name} ${of} ${unit}`, left]),
  );
  expect(sides).toMatchObject({
    "shares public millicredits": "82000",
    "totals treasury nano_usd": "-100000",
    "totals pool nano_usd": "40000",
    "totals issuance millicredits": "-1240000",
    "totals lots_usdc nano_usd": "60000",
  });
});

it("shows what has left one account and not reached the other", async () => {
  const [first, second] = [await openAccount("first", false), await openAccount("second", false)];
  const credit = { id: "paid", kind: "topup", amount: "0.0001" };
  await call(`/api/v1/admin/accounts/${first.account}/credits`, { key: ADMIN, body: credit });
  await call("/api/v1/transfers", { key: first.key, body: { to: second.account, amount: "40", id: "t" } });
  await catchUp(first);
  expect(await ask()).toMatchObject({ ok: true, in_transfer: "40000" });
  await catchUp(second);
  expect(await ask()).toMatchObject({ ok: true, in_transfer: "0" });
});

it.each([
  [
    "UPDATE rollups SET millicredits = millicredits + 5 WHERE side = 'share' AND payee = 'network'",
    [["shares", "public", "-5"]],
  ],
  ["UPDATE journal_totals SET amount = amount + 3 WHERE name = 'pool'", [["totals", "pool", "3"]]],
])("do not hold, and say where, after %s", async (tampering, expected) => {
  await lively();
  await env.DB.prepare(tampering).run();
  const { ok, invariants } = await ask();
  expect(wrong(invariants)).toEqual(expected);
  expect(ok).toBe(false);
});

it("say of a row that was changed on both of its sides that its account has another entry", async () => {
  const [first] = await lively();
  await env.DB.prepare("UPDATE journal SET at = at + 1 WHERE account = ?1 AND seq = 1").bind(first.account).run();
  const { ok, spot_check } = await ask();
  const detail = "the account has another entry in this place";
  expect([ok, spot_check.differences]).toEqual([false, [{ account: shown(first), seq: 1, detail }]]);
});

it("do not hold where an object has lost an entry that the journal has", async () => {
  const [, second] = await lively();
  await runInDurableObject(stubOf(second), (_object, { storage }) => storage.sql.exec("DELETE FROM entries").toArray());
  const { ok, spot_check } = await ask();
  const detail = "the account has no entry in this place";
  expect([ok, spot_check.differences]).toEqual([false, [{ account: shown(second), seq: 1, detail }]]);
});
