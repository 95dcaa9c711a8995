import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import type { DailyRow } from "../../../core/allotment/daily-row.ts";
import { epochOf, epochStart, RESET_SPREAD_MS, resetDelay } from "../../../core/allotment/epochs.ts";
import { allotted } from "../../../core/allotment/rate.ts";
import type { StakeUnits } from "../../../core/units.ts";
import { madeRow, stake, TOKEN } from "../epochs/support.ts";
import {
  type Bank,
  codeOf,
  count,
  creditOf,
  entries,
  hold,
  holdOf,
  inside,
  JOB_PRICE,
  openBank,
  post,
  sumOf,
} from "./bank.ts";
import { watch } from "./watch-support.ts";

const HOUR = 3_600_000;
/** Each test has days of its own: what an isolate knows of an epoch stays true. */
let next = epochOf(Date.UTC(2027, 0, 1));

/** Moves time to the first of some new days: noon, unless it says otherwise. */
function newDays(afterMidnight = 12 * HOUR): number {
  next += 10;
  vi.useFakeTimers({ toFake: ["Date"], now: epochStart(next) + afterMidnight });
  return next;
}

/** Stakes for an epoch, in whole tokens by the names of banks, and its row. */
async function begin(epoch: number, tokens: Readonly<Record<string, number>> = { bank: 2_000 }): Promise<DailyRow> {
  await stake(epoch, tokens);
  return await madeRow(epoch);
}

const due = (row: DailyRow, tokens: number): number =>
  allotted((BigInt(tokens) * TOKEN) as StakeUnits, row.rate, row.minimumStake);
const goTo = (epoch: number, afterMidnight = 0) => vi.setSystemTime(epochStart(epoch) + afterMidnight);
const included = (bank: Bank) => hold(bank, { lane: "included" });
const alarmOf = (bank: Bank) => inside(bank, ({ storage }) => storage.getAlarm());
/** Millicredits at a peg of 1 are nanoUSD. */
const credits = (nanoUsd: number) => nanoUsd;

async function allotmentOf(bank: Bank) {
  const answer = await bank.rpc.balance(bank.credentials);
  if (!answer.ok) throw new Error(answer.refusal.code);
  return answer.value.allotment;
}

/** The chain in short: each entry that is no receipt, with its amount. */
async function story(bank: Bank): Promise<string[]> {
  const all = await entries(bank);
  sumOf(all);
  return all.map(({ type, body }) => {
    const { lot, nano_usd: amount } = JSON.parse(body) as { lot?: string; nano_usd?: number };
    return lot === undefined ? type : `${type} ${lot} ${amount}`;
  });
}

/** How often the account asks D1 for a day's figures while something is done; `fails` lets D1 be away. */
async function reads(bank: Bank, work: () => Promise<void>, fails = false): Promise<number> {
  let asked = 0;
  const DB = new Proxy(env.DB, {
    get(target, name) {
      if (name === "batch") {
        return (statements: D1PreparedStatement[]) => {
          asked += 1;
          return fails ? Promise.reject(new Error("D1 is away")) : target.batch(statements);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  await runInDurableObject(bank.stub, (object) => Object.assign(object, { env: { ...env, DB } }));
  await work();
  await runInDurableObject(bank.stub, (object) => Object.assign(object, { env }));
  return asked;
}

it("is what the stake gives at the day's rate, from the first call of the day until midnight", async () => {
  const today = newDays();
  const row = await begin(today);
  const bank = await openBank();
  const granted = due(row, 2_000);
  expect(granted).toBeGreaterThan(JOB_PRICE);
  expect(await allotmentOf(bank)).toEqual({
    granted: credits(granted),
    left: credits(granted),
    slots: 2,
    inUse: 0,
    refreshAt: epochStart(today + 1),
  });
  const { job, lane } = await included(bank);
  expect(lane).toBe("included");
  expect(await allotmentOf(bank)).toMatchObject({ granted, left: granted - JOB_PRICE });
  await post(bank, job);
  expect(await story(bank)).toEqual([`allotment allotment/${today} ${granted}`, "spent"]);
});

it.each([
  ["the day has no row", null, 2_000],
  ["the account has no stake", 5_000, 0],
  ["its stake is below the minimum", 5_000, 999],
])("is nothing where %s", async (_, others, own) => {
  const today = newDays();
  const tokens = { ...(others === null ? {} : { other: others }), ...(own === 0 ? {} : { bank: own }) };
  if (others !== null) await begin(today, tokens);
  else await stake(today, tokens);
  const bank = await openBank({ bonus: 1_000_000 });
  expect(await allotmentOf(bank)).toBeNull();
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { lane: "included" })))).toBe("lane_unavailable");
  expect(await story(bank)).toEqual(["bonus credit 0"]);
});

it("begins once, however many calls come first, and reads D1 once", async () => {
  const today = newDays();
  await begin(today, { bank: 100_000 });
  const bank = await openBank();
  const asked = await reads(bank, async () => {
    await Promise.all(Array.from({ length: 20 }, () => included(bank)));
    await allotmentOf(bank);
  });
  expect(asked).toBe(1);
  expect((await entries(bank)).filter(({ type }) => type === "allotment")).toHaveLength(1);
});

it("asks D1 nothing on the path of a hold when the day's figures are known, also after a sleep", async () => {
  const today = newDays();
  await begin(today);
  const [bank, poor] = [await openBank(), await openBank({ name: "poor", bonus: 1_000_000 })];
  await Promise.all([allotmentOf(bank), allotmentOf(poor)]);
  for (const each of [bank, poor]) {
    await evictDurableObject(each.stub);
    const rows = () => inside(each, (state) => count(state, "holds") + count(state, "entries"));
    const before = await rows();
    const asked = await reads(each, async () => {
      await post(each, (await hold(each, { lane: null })).job);
      await post(each, (await hold(each, { lane: null })).job);
    });
    expect([asked, (await rows()) - before]).toEqual([0, 4]);
  }
});

it("lets a command that need not ask D1 be one turn, also the first after a sleep and the first of a known day", async () => {
  const today = newDays();
  await begin(today, { other: 2_000, bank: 2_000 });
  const bank = await openBank({ bonus: 1_000_000 });
  await allotmentOf(bank);
  const isOneTurn = async (): Promise<boolean> => {
    const request = holdOf(bank);
    return await runInDurableObject(bank.stub, async (account, state) => {
      const before = count(state, "holds");
      const held = (account as unknown as Bank["rpc"]).hold(request);
      const after = count(state, "holds");
      await held;
      return after === before + 1;
    });
  };
  expect(await isOneTurn()).toBe(true);
  await evictDurableObject(bank.stub);
  expect(await isOneTurn()).toBe(true);
  // A day without a row is known to the isolate from the first account that asks.
  goTo(today + 1, HOUR);
  await allotmentOf(await openBank({ name: "other" }));
  expect(await isOneTurn()).toBe(true);
});

it("does not roll over: what is left at midnight expires, and the next day begins with its own", async () => {
  const today = newDays();
  const first = await begin(today);
  const bank = await openBank();
  await post(bank, (await included(bank)).job);
  const second = await begin(today + 1, { bank: 3_000 });
  goTo(today + 1, 1);
  const granted = due(second, 3_000);
  expect(await allotmentOf(bank)).toMatchObject({ granted, left: granted, refreshAt: epochStart(today + 2) });
  expect(await story(bank)).toEqual([
    `allotment allotment/${today} ${due(first, 2_000)}`,
    "spent",
    `expiry allotment/${today} ${due(first, 2_000) - JOB_PRICE}`,
    `allotment allotment/${today + 1} ${granted}`,
  ]);
});

it("lets a job that is open at midnight keep what it reserved, and what it releases expires", async () => {
  const today = newDays(24 * HOUR - 60_000);
  const first = await begin(today);
  const second = await begin(today + 1);
  const bank = await openBank();
  const [posted, voided] = [await included(bank), await included(bank)];
  goTo(today + 1, 1_000);
  const granted = due(second, 2_000);
  const answer = await bank.rpc.balance(bank.credentials);
  expect(answer).toMatchObject({ value: { available: granted, held: 2 * JOB_PRICE, allotment: { left: granted } } });
  // Half of what the job reserved is charged, to the day that it began on.
  await post(bank, posted.job, { prompt: 0, completion: 500 });
  await bank.rpc.void(voided.job, "declined");
  expect(await allotmentOf(bank)).toMatchObject({ granted, left: granted });
  expect(await bank.rpc.balance(bank.credentials)).toMatchObject({ value: { available: granted, held: 0 } });
  expect(await story(bank)).toEqual([
    `allotment allotment/${today} ${due(first, 2_000)}`,
    `expiry allotment/${today} ${due(first, 2_000) - 2 * JOB_PRICE}`,
    `allotment allotment/${today + 1} ${granted}`,
    "spent",
    `expiry allotment/${today} ${JOB_PRICE / 2}`,
    "void",
    `expiry allotment/${today} ${JOB_PRICE}`,
  ]);
});

it("begins the day that it is, once, after days that nobody asked on", async () => {
  const today = newDays();
  const bank = await openBank();
  const rows = [await begin(today), await begin(today + 1), await begin(today + 2)];
  await allotmentOf(bank);
  goTo(today + 2, HOUR);
  await allotmentOf(bank);
  await allotmentOf(bank);
  await evictDurableObject(bank.stub);
  await allotmentOf(bank);
  expect(await story(bank)).toEqual([
    `allotment allotment/${today} ${due(rows[0] as DailyRow, 2_000)}`,
    `expiry allotment/${today} ${due(rows[0] as DailyRow, 2_000)}`,
    `allotment allotment/${today + 2} ${due(rows[2] as DailyRow, 2_000)}`,
  ]);
});

it("is nothing on a day without a row, never yesterday's", async () => {
  const today = newDays();
  await begin(today);
  await stake(today + 1, { bank: 2_000 });
  const bank = await openBank();
  await allotmentOf(bank);
  goTo(today + 1, HOUR);
  expect(await allotmentOf(bank)).toBeNull();
  expect((await story(bank)).at(-1)).toMatch(/^expiry/);
});

it("lets as many jobs run at once as the stake has whole minimums", async () => {
  const today = newDays();
  await begin(today, { bank: 2_999 });
  const bank = await openBank();
  const tryAll = async () => {
    const requests = Array.from({ length: 12 }, () => holdOf(bank, { lane: "included" }));
    const codes = (await Promise.all(requests.map((request) => bank.rpc.hold(request)))).map(codeOf);
    expect(new Set(codes)).toEqual(new Set(["held", "concurrency_limit"]));
    return requests.filter((_, index) => codes[index] === "held").map(({ job }) => job);
  };
  const [posted, voided, ...more] = await tryAll();
  if (posted === undefined || voided === undefined) throw new Error("two jobs must be held");
  expect(more).toEqual([]);
  expect(await allotmentOf(bank)).toMatchObject({ slots: 2, inUse: 2 });
  await evictDurableObject(bank.stub);
  const refused = await bank.rpc.hold(holdOf(bank, { lane: null }));
  const told = { code: "concurrency_limit", metadata: { limit: 2, open: 2, lane: "included" } };
  expect(refused).toMatchObject({ type: "refused", refusal: told });
  expect(await bank.rpc.estimate(holdOf(bank, { lane: null }))).toMatchObject({ type: "refused", refusal: told });
  // Each that ends makes room for one.
  for (const time of [0, 1]) await bank.rpc.void(voided, `time ${time}`);
  expect(await tryAll()).toHaveLength(1);
  await Promise.all([post(bank, posted), post(bank, posted)]);
  expect(await allotmentOf(bank)).toMatchObject({ slots: 2, inUse: 1 });
  const estimate = await bank.rpc.estimate(holdOf(bank, { lane: null }));
  expect(estimate).toMatchObject({ lane: "included", reserved: false, slots: { slots: 2, inUse: 1 } });
  expect(await tryAll()).toHaveLength(1);
});

it("lets jobs that are open at midnight count in the slots of the day that begins", async () => {
  const today = newDays(24 * HOUR - 60_000);
  await begin(today, { bank: 3_000 });
  await begin(today + 1, { bank: 1_000 });
  const bank = await openBank();
  const jobs = [await included(bank), await included(bank)];
  goTo(today + 1, 1_000);
  expect(await allotmentOf(bank)).toMatchObject({ slots: 1, inUse: 2 });
  for (const { job } of jobs) {
    expect(codeOf(await bank.rpc.hold(holdOf(bank, { lane: "included" })))).toBe("concurrency_limit");
    await post(bank, job);
  }
  expect((await included(bank)).lane).toBe("included");
});

it("brings what a reversal gives back to its own day, where it expires", async () => {
  const today = newDays();
  await begin(today);
  const bank = await openBank();
  const { job } = await included(bank);
  await post(bank, job);
  const { granted, left } = (await allotmentOf(bank)) ?? { granted: 0, left: 0 };
  expect(left).toBe(granted - JOB_PRICE);
  goTo(today + 1, HOUR);
  await bank.rpc.reverse({ job, reason: "test", by: ["a", "b"] });
  const found = await bank.rpc.balance(bank.credentials);
  expect(found).toMatchObject({ value: { available: 0, held: 0, allotment: null } });
  expect((await story(bank)).at(-1)).toBe(`expiry allotment/${today} ${JOB_PRICE}`);
});

it("lets jobs go on without it while D1 is away, and is there soon after D1 is back", async () => {
  const today = newDays();
  await begin(today);
  const bank = await openBank({ bonus: 1_000_000 });
  const asked = await reads(
    bank,
    async () => {
      for (let job = 0; job < 3; job++) expect((await hold(bank, { lane: null })).lane).toBe("public");
    },
    true,
  );
  expect(asked).toBe(1);
  vi.setSystemTime(Date.now() + 5_000);
  expect((await hold(bank, { lane: null })).lane).toBe("included");
});

it("wakes the account after midnight, at its own moment, and lets one rest that has no allotment any more", async () => {
  const today = newDays();
  await begin(today);
  await begin(today + 1);
  const bank = await openBank();
  await allotmentOf(bank);
  const wakes = epochStart(today + 1) + resetDelay(bank.account);
  // The first alarm after an entry is the journal's; whatever rings, the last one set is the day's.
  for (let rung = 0; rung < 4 && ((await alarmOf(bank)) ?? wakes) < epochStart(today + 1); rung++) {
    vi.setSystemTime((await alarmOf(bank)) ?? 0);
    await runDurableObjectAlarm(bank.stub);
    await settle(bank);
  }
  expect(await alarmOf(bank)).toBe(wakes);
  expect(wakes - epochStart(today + 1)).toBeLessThan(RESET_SPREAD_MS);

  vi.setSystemTime(wakes);
  await runDurableObjectAlarm(bank.stub);
  expect((await story(bank)).slice(-2)).toEqual([
    expect.stringContaining(`expiry allotment/${today} `),
    expect.stringContaining(`allotment allotment/${today + 1} `),
  ]);

  for (let rung = 0; rung < 9 && (await alarmOf(bank)) !== null; rung++) {
    vi.setSystemTime((await alarmOf(bank)) ?? 0);
    await runDurableObjectAlarm(bank.stub);
    await settle(bank);
  }
  expect((await story(bank)).at(-1)).toMatch(new RegExp(`^expiry allotment/${today + 1} `));
  expect(await alarmOf(bank)).toBeNull();
});

it("leaves accounts asleep that have neither an allotment nor anybody who watches", async () => {
  const today = newDays();
  await begin(today, { other: 2_000 });
  const bank = await openBank();
  await allotmentOf(bank);
  expect(await alarmOf(bank)).toBeNull();
});

it("tells whoever watches of the day that begins, spread over the first ten minutes", async () => {
  const today = newDays();
  await begin(today, { other: 2_000 });
  const row = await begin(today + 1);
  const bank = await openBank();
  const watcher = await watch(bank);
  const wakes = epochStart(today + 1) + resetDelay(bank.account);
  await vi.waitUntil(async () => (await alarmOf(bank)) === wakes);
  vi.setSystemTime(wakes);
  await runDurableObjectAlarm(bank.stub);
  await watcher.until(() => watcher.entries.length === 1, "the allotment");
  expect(watcher.told.at(-1)).toMatchObject({
    allotment: { refresh_at: new Date(epochStart(today + 2)).toISOString() },
  });
  expect(await allotmentOf(bank)).toMatchObject({ granted: due(row, 2_000) });
});

it("keeps paid credits beside it: jobs that name no lane leave them alone from the moment that it is there", async () => {
  const today = newDays();
  await begin(today);
  const bank = await openBank();
  await bank.rpc.credit(creditOf({ id: "paid", kind: "topup", backing: "usdc" }));
  expect((await hold(bank, { lane: null })).lane).toBe("included");
});

/** Lets what the account sent to the queue count as there, so that its alarm has nothing to wait for. */
async function settle(bank: Bank): Promise<void> {
  await inside(bank, ({ storage }) => {
    const [last] = storage.sql.exec<{ seq: number }>("SELECT max(seq) AS seq FROM entries").toArray();
    const checked = JSON.stringify({ seq: last?.seq ?? 0, missing: [] });
    storage.sql.exec(
      "INSERT INTO settings (name, value) VALUES ('log_checked', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      checked,
    );
  });
}
