/** Which receipts a failed check takes back, and what that comes to for everybody (economics.md §6 and §9). */

import { env } from "cloudflare:workers";
import { beforeEach, expect, it, vi } from "vitest";
import { newJobId } from "../../../core/ids.ts";
import { receiptText } from "../../../core/receipt/body.ts";
import { rollupsOf } from "../../../db/rollups.ts";
import { signReceipt } from "../../../durable-objects/shared/receipt-queue.ts";
import { type SignedReceipt, verifyReceipt } from "../../../protocol/receipt.ts";
import { pseudonymOf } from "../../../workers/auth.ts";
import { configOf } from "../../../workers/config.ts";
import { bodyOf, keyOf, signText } from "../../support/receipts.ts";
import { callWith, openAccount, type TestAccount } from "../api/support.ts";
import { auditLog, deliver, jobOf, pack, withBatches } from "../log/support.ts";
import {
  accountsWith,
  available,
  CLOSE,
  consumers,
  jobsOf,
  Post,
  PRICE,
  PROVIDER,
  reversalsOf,
  START,
  STARTER,
  served,
  shownChecks,
  takenBack,
} from "./support.ts";

let post: Post;
let [ada, ben]: TestAccount[] = [];

beforeEach(async () => {
  post = new Post();
  [ada, ben] = await consumers();
});

const OTHER = "maker/other";
const both = (): [TestAccount, TestAccount] => [ada as TestAccount, ben as TestAccount];

/** Five jobs of the liar's: three of the model whose check it fails, two of another. */
async function fiveJobs(): Promise<{ wrong: SignedReceipt[]; right: SignedReceipt[] }> {
  const [first, second] = both();
  const wrong = [await served(first), await served(first), await served(second)];
  return { wrong, right: [await served(first, { model: OTHER }), await served(second, { model: OTHER })] };
}

it("takes back exactly the daemon's receipts of that model, once each, and everybody has what was theirs", async () => {
  const [first, second] = both();
  const { wrong, right } = await fiveJobs();
  const honest = await served(second, { daemon: "honest" });
  const failing = await served(first, { failed: "digest" });
  await post.append([...wrong, ...right, honest, failing]);

  expect(await takenBack(first, second)).toEqual(jobsOf(wrong));
  expect([await available(first), await available(second)]).toEqual([STARTER - PRICE, STARTER - 2 * PRICE]);
  for (const body of [...(await reversalsOf(first)), ...(await reversalsOf(second))]) {
    expect(body).toMatchObject({ n: 1, outcome: "reversed", reversal: { by: ["check:digest"] } });
    // It does not tell one consumer of another's job.
    expect(body.reversal?.reason).not.toContain(jobOf(failing));
  }
  const reversals = (await auditLog()).filter(({ body }) => body.includes('"n":1,'));
  expect(jobsOf(reversals)).toEqual(jobsOf(wrong));
  for (const receipt of reversals) expect(verifyReceipt(receipt)).toMatchObject({ ok: true });
  const shares = (await rollupsOf(env.DB, CLOSE)).filter(({ side, payee }) => side === "share" && payee === PROVIDER);
  // Six jobs were charged, three remain.
  expect(shares.map(({ millicredits, receipts }) => [millicredits, receipts])).toEqual([[(3 * PRICE * 95) / 100, 9]]);
  expect((await callWith({}, "/api/v1/invariants")).json).toMatchObject({ ok: true });
  expect(await shownChecks()).toEqual([
    {
      job: jobOf(failing),
      check: "digest",
      daemon: keyOf("liar").id,
      model: "maker/eight",
      provider: PROVIDER,
      failed_at: expect.any(String),
      state: "done",
      due: 0,
      reversed: 3,
      already_reversed: 0,
      refused: 0,
      amount: "246.000",
      amount_usd: "0.000246000",
    },
  ]);
});

it("names the check, and calls it the claim's where a receipt does not tell", async () => {
  const [first] = both();
  const [before, after] = [await served(first, { daemon: "a" }), await served(first, { daemon: "b" })];
  const [told, old] = [
    await served(first, { daemon: "a", failed: "signature" }),
    await served(first, { daemon: "b", failed: "digest" }),
  ];
  const { failed_check: _, ...body } = JSON.parse(old.body) as Record<string, unknown>;
  await post.append([before, after, told, await signReceipt(env, JSON.stringify(body))]);
  const by = (await reversalsOf(first)).map(({ reversal }) => reversal?.by);
  expect(by).toEqual(expect.arrayContaining([["check:signature"], ["check:claim"]]));
  expect((await shownChecks()).map(({ check }) => check)).toEqual(["claim", "signature"]);
});

it("changes nothing when everything comes again, in whatever order", async () => {
  const [first, second] = both();
  const { wrong, right } = await fiveJobs();
  const all = [...wrong, ...right, await served(first, { failed: "digest" })];
  await post.append(all);
  const ends = async () => [
    await auditLog(),
    await shownChecks(),
    await takenBack(first, second),
    await available(first),
    await available(second),
  ];
  const before = await ends();
  const poke = { v: 1, checks: "due" };
  for (const bodies of [[pack(all)], [pack(all.toReversed()), poke, poke], [poke], all.map((each) => pack([each]))]) {
    await post.deliver(bodies);
    await post.quiet();
  }
  expect(await ends()).toEqual(before);
});

it("finds every receipt in whatever order the log gets them", async () => {
  const [first, second] = both();
  const { wrong, right } = await fiveJobs();
  const failing = await served(first, { failed: "digest" });
  for (const receipt of [wrong[0], right[0], failing, wrong[1], right[1], wrong[2]]) {
    await post.append([receipt as SignedReceipt]);
  }
  expect(await takenBack(first, second)).toEqual(jobsOf(wrong));
  expect(await shownChecks()).toMatchObject([{ state: "done", reversed: 3 }]);
});

it("takes back what ended until the failing job did, and nothing that ended later", async () => {
  const [first] = both();
  const at = Date.now();
  const failing = await served(first, { failed: "fence", at });
  const [early, same, late] = [
    await served(first, { at: at - 1 }),
    await served(first, { at }),
    await served(first, { at: at + 1 }),
  ];
  await post.append([failing]);
  await post.append([early, same, late]);
  expect(await takenBack(first)).toEqual(jobsOf([early, same]));
});

it("counts each receipt for the first check that failed after it, and takes it back once", async () => {
  const [first] = both();
  const one = await served(first);
  const failedFirst = await served(first, { failed: "digest" });
  const two = await served(first);
  const failedNext = await served(first, { failed: "signature" });
  await post.append([failedNext, one, two]);
  await post.append([failedFirst]);
  expect(await takenBack(first)).toEqual(jobsOf([one, two]));
  // The first failure came into the log when both were taken back already.
  expect(await shownChecks()).toMatchObject([
    { check: "signature", reversed: 2 },
    { check: "digest", reversed: 0, state: "done" },
  ]);
  const three = await served(first, { at: START });
  await post.append([three]);
  expect(await takenBack(first)).toEqual(jobsOf([one, two, three]));
  expect(await shownChecks()).toMatchObject([{ reversed: 2 }, { check: "digest", reversed: 1, amount: "82.000" }]);
});

it("leaves what is settled, which is decided when the failing receipt is appended", async () => {
  const [first] = both();
  const settled = await served(first);
  await post.append([settled]);
  vi.setSystemTime(CLOSE - 3_600_000 + 1);
  const open = await served(first);
  await post.append([open]);
  vi.setSystemTime(CLOSE);
  await post.append([await served(first, { failed: "digest" })]);
  expect(await takenBack(first)).toEqual(jobsOf([open]));
});

it("still takes back what was not settled then, however long its account is away", async () => {
  const [first] = both();
  const open = await served(first);
  await post.append([open]);
  vi.setSystemTime(CLOSE - 1_000);
  const away = { ACCOUNT: accountsWith(() => Promise.reject(new Error("away"))) };
  await post.deliver([pack([await served(first, { failed: "digest" })])], away);
  expect(await takenBack(first)).toEqual([]);
  vi.setSystemTime(Date.now() + 10 * 3_600_000);
  await post.quiet();
  expect(await takenBack(first)).toEqual(jobsOf([open]));
});

it("leaves alone what two operators have taken back, and they what it has", async () => {
  const [first] = both();
  const [logged, unknown, own] = [await served(first), await served(first), await served(first)];
  await post.append([logged, unknown, own]);
  const byOperators = { reason: "the answer was empty", by: ["alice", "bob"] };
  await first.object.reverse({ job: jobOf(logged), ...byOperators });
  await post.quiet();
  // The log does not know of this one when the check fails.
  await first.object.reverse({ job: jobOf(unknown), ...byOperators });
  const onTheWay = post.sent.splice(0);
  await post.append([await served(first, { failed: "digest" })]);
  post.sent.push(...onTheWay);
  await post.quiet();
  const bys = (await reversalsOf(first)).map(({ job, reversal }) => [job, reversal?.by]);
  expect(bys).toEqual([
    [jobOf(logged), ["alice", "bob"]],
    [jobOf(unknown), ["alice", "bob"]],
    [jobOf(own), ["check:digest"]],
  ]);
  expect(await shownChecks()).toMatchObject([
    { state: "done", reversed: 1, already_reversed: 1, refused: 0, amount: "82.000" },
  ]);
  const ADMIN_KEY = "alice:key-of-alice bob:key-of-bob";
  const body = { id: "r-1", account: first.account, job: jobOf(own), reason: "it was empty" };
  const proposed = await callWith({ ADMIN_KEY }, "/api/v1/admin/reversals", { key: "key-of-alice", body });
  expect(proposed.json.code).toBe("already_reversed");
  await auditLog();
});

it("costs a batch of good receipts no call: two D1 batches, no account, no message", async () => {
  const account = await openAccount("carl");
  await post.append([await served(account), await served(account, { failed: "digest" })]);
  let calls = 0;
  const DB = withBatches((_, run) => (calls++, run()));
  const only = new Proxy(DB, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (name !== "prepare") return value;
      return (sql: string) => {
        const statement = target.prepare(sql);
        const alone = () => Promise.reject(new Error(`a call of its own: ${sql}`));
        return Object.assign(statement, { first: alone, all: alone, run: alone });
      };
    },
  });
  const good = [await served(account), await served(account)];
  const ACCOUNT = accountsWith(() => Promise.reject(new Error("an account was called")));
  const { summary } = await deliver([pack(good)], { DB: only, ACCOUNT, now: START + 60_000 });
  expect(summary).toMatchObject({ appended: 2, error: null });
  expect([calls, post.sent]).toEqual([2, []]);
});

it("asks the slice of an account that has the job's hold", async () => {
  const [first] = both();
  const asked: unknown[] = [];
  const reverse = (name: string) => (command: { readonly job: string }) => {
    asked.push([name, command.job]);
    return Promise.resolve({ type: "reversed", seq: 7, body: '{"reversal":{"by":["check:digest"]}}' });
  };
  const ACCOUNT_SLICE = {
    getByName: (name: string) => ({ reverse: reverse(name) }),
  } as unknown as Env["ACCOUNT_SLICE"];
  const job = newJobId(Date.now(), crypto.getRandomValues(new Uint8Array(10)), 3);
  const facts = { job, times: { queued: START, dispatched: START, first_token: START, completed: START } };
  const consumer = pseudonymOf(first.account, configOf(env));
  const sliced = signText(receiptText(bodyOf({ daemon: "liar", facts: { ...facts, consumer } })));
  await post.append([sliced, await served(first, { failed: "digest" })], { ACCOUNT_SLICE });
  expect(asked).toEqual([[`${first.account}/3`, job]]);
  expect(await shownChecks()).toMatchObject([{ state: "done", reversed: 1 }]);
});
