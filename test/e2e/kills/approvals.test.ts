/** The Worker is killed at the points that a reversal by two operators passes, and those of a key's revocation. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { createdKey, keyRecord } from "../../../protocol/network/account.ts";
import { reversal as reversalShape } from "../../../protocol/network/reversals.ts";
import { testSecrets } from "../../secrets.ts";
import { auditLog, parsedBody } from "../../support/log-audit.ts";
import { cleanUp } from "../support/children.ts";
import { type TestAccount, until } from "../support/network.ts";
import { ask } from "./support/asking.ts";
import { SECOND_OPERATOR_KEY } from "./support/life.ts";
import { COST, Market } from "./support/market.ts";
import { firstAndLast, passedBy } from "./support/recording.ts";
import { dying, SWEEP_MS } from "./support/sweep.ts";
import { checkSums, ledgerOf } from "./support/transfers.ts";

const STARTER = 1_200_000;

let market: Market;
beforeAll(async () => {
  market = await Market.open({ daemons: 1 });
});
afterAll(async () => {
  await market?.server.close();
  await cleanUp();
});

/** Something that is done to a subject, safe to repeat. */
interface Act<T> {
  readonly prepare: () => Promise<T>;
  readonly call: (subject: T) => Promise<unknown>;
  /** What holds of a subject when the call was cut and not repeated yet. */
  readonly cut: (subject: T) => Promise<void>;
  /** What holds when it has been repeated. */
  readonly done: (subject: T) => Promise<void>;
}

/** Kills the Worker at every point that an act passes, and repeats the act afterwards. Gives how many kills that were. */
async function killDuring<T>({ prepare, call, cut, done }: Act<T>): Promise<number> {
  await market.restart();
  const subject = await prepare();
  const points = firstAndLast(await passedBy(market, () => call(subject)));
  await done(subject);
  const failures: string[] = [];
  for (const fault of points) {
    try {
      const next = await prepare();
      await market.server.arm(fault);
      await dying(
        market,
        call(next).then(() => market.quiet()),
      );
      await market.restart();
      await cut(next);
      await call(next);
      await call(next);
      await done(next);
    } catch (error) {
      failures.push(`killed at "${fault.point}", ${fault.occurrence}: ${String(error)}`);
      await market.restart();
    }
  }
  expect(failures).toEqual([]);
  return points.length;
}

interface Charged {
  readonly account: TestAccount;
  readonly job: string;
}

const REVERSAL: Act<Charged> = {
  async prepare() {
    const account = await market.consumer();
    expect(await ask(market, account, "answer", { stream: false })).toMatchObject({ complete: true });
    await market.quiet();
    const [receipt] = await market.network.receipts(account);
    return { account, job: receipt?.job ?? "" };
  },
  async call({ account: { account }, job }) {
    const path = "/api/v1/admin/reversals";
    const body = { id: job, account, job, reason: "the answer was empty" };
    const { network } = market;
    await network.json(path, reversalShape, { method: "POST", apiKey: testSecrets.ADMIN_KEY, body });
    const approval = { method: "POST", apiKey: SECOND_OPERATOR_KEY };
    const { state, outcome } = await network.json(`${path}/${job}/approve`, reversalShape, approval);
    expect([state, outcome]).toEqual(["reversed", "reversed"]);
  },
  async cut({ account }) {
    const reversals = await reversalsOf(account);
    expect([0, 1]).toContain(reversals);
    expect(await market.network.balance(account)).toEqual({ available: STARTER - (1 - reversals) * COST, held: 0 });
  },
  async done({ account, job }) {
    expect(await reversalsOf(account)).toBe(1);
    expect(await market.network.balance(account)).toEqual({ available: STARTER, held: 0 });
    const logged = () => market.server.rows("SELECT n FROM receipts WHERE job = ?", job);
    await until(async () => (await logged()).length === 2, "receipt and reversal in the log");
  },
};

async function reversalsOf(account: TestAccount): Promise<number> {
  return (await ledgerOf(market, account)).filter(({ type }) => type === "adjustment").length;
}

it("takes a receipt back once when two operators want it, wherever the Worker is killed", {
  timeout: SWEEP_MS,
}, async ({ annotate }) => {
  const kills = await killDuring(REVERSAL);
  await annotate(`killed ${kills} times`);
  expect(kills).toBeGreaterThanOrEqual(37);
  await checkSums(market);
  await market.quiet();
  const { life } = market.server;
  const log = await auditLog({ DB: await life.db(), SEGMENTS: await life.segments() });
  const charged = log.map((receipt) => parsedBody(receipt).charge.nano_usd).reduce((sum, price) => sum + price, 0);
  expect([log.length, charged]).toEqual([2 * market.accounts.length, 0]);
});

interface Keyed {
  readonly owner: TestAccount;
  readonly id: string;
  readonly key: string;
}

/** Whether the network lets a key in. */
async function counts({ key }: Keyed): Promise<boolean> {
  const { status } = await market.network.call("/api/v1/balance", { apiKey: key });
  expect([200, 401]).toContain(status);
  return status === 200;
}

const REVOCATION: Act<Keyed> = {
  async prepare() {
    const owner = await market.network.open({ starter: false });
    const call = { method: "POST", apiKey: owner.apiKey, body: { id: "app", name: "app" } };
    const { id, key } = await market.network.json("/api/v1/keys", createdKey, call);
    const made = { owner, id, key: key ?? "" };
    expect(await counts(made)).toBe(true);
    return made;
  },
  async call({ owner, id }) {
    const call = { method: "DELETE", apiKey: owner.apiKey };
    const { revoked_at: revokedAt } = await market.network.json(`/api/v1/keys/${id}`, keyRecord, call);
    expect(revokedAt).not.toBeNull();
  },
  async cut(keyed) {
    // Once it is refused it stays refused.
    if (!(await counts(keyed))) {
      await market.restart();
      expect(await counts(keyed)).toBe(false);
    }
  },
  async done(keyed) {
    expect(await counts(keyed)).toBe(false);
    await market.restart();
    expect(await counts(keyed)).toBe(false);
  },
};

it("refuses a key for good once its revocation was answered, wherever the Worker is killed", {
  timeout: SWEEP_MS,
}, async ({ annotate }) => {
  const kills = await killDuring(REVOCATION);
  await annotate(`killed ${kills} times`);
  expect(kills).toBeGreaterThanOrEqual(6);
});
