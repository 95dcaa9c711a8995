import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, it, onTestFinished, vi } from "vitest";
import { epochStart } from "../../../core/allotment/epochs.ts";
import { LIMITS } from "../../../core/limits.ts";
import { hashBytes, hashText, hexToBytes } from "../../../core/receipt/canonical.ts";
import { DAY_MS } from "../../../core/time.ts";
import { LedgerChain } from "../../../protocol/chain.ts";
import { call, holdJob, openAccount, settleJob, type TestAccount } from "./support.ts";

const NOW = Date.UTC(2028, 10, 24, 9);
const ENDS = NOW + 5 * DAY_MS;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW });
  vi.spyOn(Object.getPrototypeOf(env.RECEIPTS) as Queue, "send").mockResolvedValue({} as QueueSendResponse);
});

/** A job in a slot that waited so long. */
async function run(account: TestAccount, waitMs: number): Promise<void> {
  const job = await holdJob(account, 1_000, { lane: null });
  const now = Date.now();
  const times = { queued: now, dispatched: now + waitMs, first_token: null, completed: now + waitMs };
  await settleJob(account, job, undefined, "completed", { lane: "dedicated", times, reserved: now });
}

/** An account with a package whose day was missed by 20 jobs of 23. */
async function missed(): Promise<TestAccount> {
  const account = await openAccount("sponsor");
  const lot = { id: "pack", kind: "package", backing: "usdc", amount: 50_000_000_000, concurrency: 2 } as const;
  await account.object.credit({ ...lot, expiresAt: ENDS, memo: "" });
  for (let job = 0; job < 23; job++) await run(account, job < 3 ? 0 : 2_001 + job);
  const stub = env.ACCOUNT.getByName(account.account);
  for (const time of [NOW + LIMITS.accountAlarmMs, epochStart(Math.floor(NOW / DAY_MS) + 1) + LIMITS.serviceDelayMs]) {
    vi.setSystemTime(time);
    await runDurableObjectAlarm(stub);
  }
  return account;
}

const levels = ({ key }: TestAccount, query = "") => call(`/api/v1/service-levels${query}`, { key });

it("tells of a missed day all that its sponsor needs to compute it again from the receipts", async () => {
  const account = await missed();
  const { status, json } = await levels(account);
  expect(status).toBe(200);
  const until = new Date(ENDS + DAY_MS).toISOString();
  expect(json).toEqual({
    data: [
      {
        day: "2028-11-24",
        jobs: 23,
        p95_ms: 2_022,
        target_ms: 2_000,
        missed: true,
        extended_until: until,
        entry: 26,
        evidence: { first: 3, last: 25, digest: expect.any(String) },
      },
    ],
    next: null,
  });
  const [{ evidence, p95_ms: p95 }] = json.data;

  const { json: ledger } = await call(`/api/v1/ledger?from=${evidence.first}&type=spent`, { key: account.key });
  const bodies = (ledger.data as { seq: number; body: string }[])
    .filter(({ seq }) => seq <= evidence.last)
    .map(({ body }) => body)
    .filter((body) => JSON.parse(body).reserved !== undefined);
  expect(hashBytes(...bodies.map((body) => hexToBytes(hashText(body))))).toBe(evidence.digest);
  const waits = bodies
    .map((body) => JSON.parse(body))
    .map(({ reserved, times }) => times.dispatched - reserved)
    .toSorted((a, b) => a - b);
  expect(waits[Math.ceil(0.95 * waits.length) - 1]).toBe(p95);

  const { json: balance } = await call("/api/v1/balance", { key: account.key });
  expect(balance.lots.find(({ id }: { id: string }) => id === "pack").expires_at).toBe(until);
  const whole = await call("/api/v1/ledger", { key: account.key });
  const chain = new LedgerChain();
  for (const entry of whole.json.data) expect(chain.add(entry, { claim: false })).toBeNull();
  const csv = await call("/api/v1/ledger?format=csv&type=extension", { key: account.key });
  expect(csv.text.split("\r\n")[1]).toMatch(
    /^26,2028-11-25T00:15:00\.000Z,extension,,,,package,.*"?a day longer: pack \(95 of 100 jobs waited up to 2022 ms on 2028-11-24\)/,
  );
});

it("lists the last thirty days unless it is asked otherwise, a page at a time", async () => {
  const account = await missed();
  expect((await levels(account, "?from=2028-11-25")).json).toEqual({ data: [], next: null });
  const { serviceDays } = LIMITS;
  onTestFinished(() => void Object.assign(LIMITS, { serviceDays }));
  Object.assign(LIMITS, { serviceDays: 1 });
  expect((await levels(account, "?from=2028-01-01")).json).toMatchObject({
    data: [{ day: "2028-11-24" }],
    next: "2028-11-25",
  });
  vi.setSystemTime(NOW + 31 * DAY_MS);
  expect((await levels(account)).json.data).toEqual([]);
});

it.each(["yesterday", "2026-02-30", "2028-11-24T00:00:00Z"])("refuses %s as a day", async (from) => {
  const { status, json } = await levels(await openAccount(), `?from=${from}`);
  expect([status, json.code, json.param]).toEqual([400, "invalid_request", "from"]);
});
