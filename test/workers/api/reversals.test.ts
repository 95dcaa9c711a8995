import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { type AccountId, type JobId, newJobId } from "../../../core/ids.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { imbalances } from "../../../core/receipt/rollup.ts";
import { receiptsOfJob } from "../../../db/log.ts";
import { rollupsOf } from "../../../db/rollups.ts";
import { signReceipt } from "../../../durable-objects/shared/receipt-queue.ts";
import { idOf } from "../../support/receipts.ts";
import { deliver, pack } from "../log/support.ts";
import {
  ADMIN,
  type Answer,
  type Call,
  call,
  callWith,
  holdJob,
  openAccount,
  settleJob,
  type TestAccount,
} from "./support.ts";

const OPERATORS = "alice:key-of-alice bob:key-of-bob carol:key-of-carol";
const [ALICE, BOB, CAROL] = ["key-of-alice", "key-of-bob", "key-of-carol"];
const PATH = "/api/v1/admin/reversals";
const WEEK_MS = 7 * 86_400_000;

/** Calls a network of three operators. */
const ask = (path: string, options: Call, bindings: Partial<Env> = {}) =>
  callWith({ ADMIN_KEY: OPERATORS, ...bindings }, PATH + path, options);

interface Charged {
  readonly account: TestAccount;
  readonly job: JobId;
  readonly body: { id: string; account: string; job: string; reason: string };
}

/** A job of 82 credits, out of 1,200, and a proposal to take it back. */
async function charged(provider?: AccountId): Promise<Charged> {
  const account = await openAccount();
  const job = await holdJob(account);
  await settleJob(account, job, provider);
  return { account, job, body: { id: "r-1", account: account.account, job, reason: "the answer was empty" } };
}

const propose = (body: object, key = ALICE) => ask("", { key, body });
const approve = (key: string, bindings: Partial<Env> = {}, id = "r-1") =>
  ask(`/${id}/approve`, { method: "POST", key }, bindings);
const decline = (key: string, id = "r-1") => ask(`/${id}/decline`, { method: "POST", key });
const shown = async (id = "r-1") => (await ask(`/${id}`, { key: CAROL })).json;
const codeOf = ({ status, json }: Answer) => [status, json.code ?? json.state];

async function available({ key }: TestAccount): Promise<string> {
  return (await call("/api/v1/balance", { key })).json.available;
}

async function adjustments({ key }: TestAccount): Promise<number> {
  const { json } = await call("/api/v1/ledger?type=adjustment", { key });
  return json.data.length;
}

/** An account's namespace whose `reverse` runs as it is told to. */
function accountsWith(reverse: (run: () => Promise<unknown>) => Promise<unknown>): Partial<Env> {
  const wrap = (stub: object) =>
    new Proxy(stub, {
      get: (target, name) => {
        const method = Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>;
        return name === "reverse" ? (...args: unknown[]) => reverse(() => method(...args)) : method;
      },
    });
  return { ACCOUNT: { getByName: (name: string) => wrap(env.ACCOUNT.getByName(name)) } as unknown as Env["ACCOUNT"] };
}

it("takes a receipt back when another operator approves what one has proposed", async () => {
  const { account, job, body } = await charged();
  const proposed = await propose(body);
  expect(proposed.status).toBe(201);
  expect(proposed.json).toMatchObject({
    ...body,
    amount: "82.000",
    amount_usd: "0.000082000",
    state: "proposed",
    proposed_by: "alice",
    approved_by: null,
    seq: null,
    outcome: null,
  });
  const { proposed_at, expires_at } = proposed.json;
  expect(Date.parse(expires_at) - Date.parse(proposed_at)).toBe(WEEK_MS);
  expect(await available(account)).toBe("1118.000");
  const { status, json } = await approve(BOB);
  expect(status).toBe(200);
  expect(json).toMatchObject({ state: "reversed", approved_by: "bob", seq: 3, outcome: "reversed" });
  expect(await shown()).toEqual(json);
  expect(await available(account)).toBe("1200.000");
  const receipt = JSON.parse((await account.object.receipt(job, "reversal")) ?? "") as ReceiptBody;
  expect(receipt).toMatchObject({ seq: 3, reversal: { by: ["alice", "bob"], reason: "the answer was empty" } });
});

it("refuses the operator who proposed it, by name and not by request", async () => {
  const { account, body } = await charged();
  await propose(body);
  for (let i = 0; i < 2; i++) expect(codeOf(await approve(ALICE))).toEqual([403, "second_operator_needed"]);
  expect(await shown()).toMatchObject({ state: "proposed", approved_by: null });
  expect(await available(account)).toBe("1118.000");
  // The name counts: another key does not make another person.
  const renewed = { ADMIN_KEY: "alice:the-new-key-of-alice bob:key-of-bob" };
  expect(codeOf(await approve("the-new-key-of-alice", renewed))).toEqual([403, "second_operator_needed"]);
});

it("tells a network of one operator what to set, and proposes nothing", async () => {
  const { body } = await charged();
  const { status, json } = await call(PATH, { key: ADMIN, body });
  expect([status, json.code]).toEqual([403, "second_operator_needed"]);
  expect(json.detail).toMatch(/one operator, and a reversal takes two.*ADMIN_KEY.*`name:key`/);
  expect((await call(PATH, { key: ADMIN })).json).toEqual({ data: [], next: null });
});

it("proposes and reverses once, however often it is asked", async () => {
  const { account, body } = await charged();
  const proposals = await Promise.all([propose(body), propose(body), propose(body)]);
  expect(proposals.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(new Set(proposals.map(({ text }) => text)).size).toBe(1);
  for (const other of [
    { ...body, reason: "another" },
    { ...body, job: "0".repeat(22) },
  ]) {
    expect(codeOf(await propose(other))).toEqual([409, "id_conflict"]);
  }
  expect(codeOf(await propose(body, BOB))).toEqual([409, "id_conflict"]);
  const approvals = await Promise.all([approve(BOB), approve(CAROL), approve(BOB), approve(CAROL)]);
  // Whoever was first approved it for all of them.
  expect(new Set(approvals.map(({ text }) => text)).size).toBe(1);
  expect(approvals.map(codeOf)).toEqual(Array.from({ length: 4 }, () => [200, "reversed"]));
  expect((await approve(CAROL)).text).toBe(approvals[0]?.text);
  expect((await propose(body)).text).toBe(approvals[0]?.text);
  expect(await adjustments(account)).toBe(1);
  expect(await available(account)).toBe("1200.000");
});

it("finishes what broke before the account was asked", async () => {
  const { account, body } = await charged();
  await propose(body);
  const down = accountsWith(() => Promise.reject(new Error("the account is away")));
  expect((await approve(BOB, down)).status).toBe(500);
  expect(await shown()).toMatchObject({ state: "approved", approved_by: "bob", seq: null });
  // It is decided: nobody takes it back any more, and whoever repeats it carries out what bob has approved.
  expect(codeOf(await decline(CAROL))).toEqual([409, "reversal_closed"]);
  expect(await available(account)).toBe("1118.000");
  const { json } = await approve(CAROL);
  expect(json).toMatchObject({ state: "reversed", approved_by: "bob", seq: 3, outcome: "reversed" });
  expect(await available(account)).toBe("1200.000");
});

it("finishes what broke after the account had answered", async () => {
  const { account, body } = await charged();
  await propose(body);
  const lost = accountsWith(async (run) => {
    await run();
    throw new Error("the answer was lost");
  });
  expect((await approve(BOB, lost)).status).toBe(500);
  expect(await available(account)).toBe("1200.000");
  expect(await shown()).toMatchObject({ state: "approved" });
  expect((await approve(BOB)).json).toMatchObject({ state: "reversed", seq: 3, outcome: "reversed" });
  expect(await adjustments(account)).toBe(1);
});

it("refuses to propose what charged nothing, is not over or was taken back, and keeps nothing of it", async () => {
  const { account, job, body } = await charged();
  const open = await holdJob(account);
  const none = newJobId(Date.now(), new Uint8Array(10));
  const failed = await holdJob(account);
  await settleJob(account, failed, undefined, "failed");
  for (const other of [{ job: open }, { job: none }, { job: failed }, { account: "0".repeat(22) }]) {
    expect(codeOf(await propose({ ...body, ...other }))).toEqual([409, "nothing_to_reverse"]);
  }
  await account.object.reverse({ job, reason: "a check failed", by: ["check:digest"] });
  expect(codeOf(await propose(body))).toEqual([409, "already_reversed"]);
  expect((await ask("", { key: ALICE })).json.data).toEqual([]);
});

it.each([
  [{ id: ".." }, "id"],
  [{ id: "a/b" }, "id"],
  [{ account: "me" }, "account"],
  [{ job: "x" }, "job"],
  [{ reason: "" }, "reason"],
  [{ reason: "x".repeat(257) }, "reason"],
  [{ reason: "\ud800" }, "reason"],
  [{ by: ["alice", "bob"] }, "by"],
])("refuses a proposal with %j", async (change, param) => {
  const right = { id: "r-1", account: "0".repeat(22), job: "0".repeat(22), reason: "x" };
  const { status, json } = await propose({ ...right, ...change });
  expect([status, json.code, json.param]).toEqual([400, "invalid_request", param]);
});

it("says where another reversal was first, or what the account had against it", async () => {
  const { account, job, body } = await charged();
  await propose(body);
  await propose({ ...body, id: "r-2" }, BOB);
  await propose({ ...body, id: "r-3" });
  await account.object.reverse({ job, reason: "a check failed", by: ["check:digest"] });
  expect((await approve(BOB)).json).toMatchObject({ state: "reversed", seq: 3, outcome: "already_reversed" });
  expect((await approve(ALICE, {}, "r-2")).json).toMatchObject({ seq: 3, outcome: "already_reversed" });
  const refusing = accountsWith(() => Promise.resolve({ type: "refused", refusal: { code: "nothing_to_reverse" } }));
  for (let i = 0; i < 2; i++) expect(codeOf(await approve(BOB, refusing, "r-3"))).toEqual([409, "nothing_to_reverse"]);
  expect(await shown("r-3")).toMatchObject({ state: "refused", outcome: "nothing_to_reverse", seq: null });
  expect(await adjustments(account)).toBe(1);
});

it("says of the second of two equal proposals that the receipt was taken back already", async () => {
  const { account, body } = await charged();
  for (const id of ["r-1", "r-2", "r-3"]) await propose({ ...body, id });
  const answers = await Promise.all([approve(BOB), approve(BOB, {}, "r-2")]);
  const outcomes = answers.map(({ json }) => [json.state, json.seq, json.outcome]);
  expect(outcomes.map((outcome) => outcome.join(" ")).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    "reversed 3 already_reversed",
    "reversed 3 reversed",
  ]);
  expect((await approve(BOB, {}, "r-3")).json).toMatchObject({ seq: 3, outcome: "already_reversed" });
  // Whoever asks again is told the same again.
  expect([(await approve(BOB)).json, (await approve(BOB, {}, "r-2")).json]).toEqual(answers.map(({ json }) => json));
  expect(await adjustments(account)).toBe(1);
  // What became of another receipt says nothing of this one.
  const job = await holdJob(account);
  await settleJob(account, job);
  await propose({ ...body, job, id: "r-4" });
  expect((await approve(BOB, {}, "r-4")).json).toMatchObject({ state: "reversed", outcome: "reversed" });
});

it("is declined by either, once and for good", async () => {
  const { account, body } = await charged();
  await propose(body);
  await propose({ ...body, id: "r-2" });
  const first = await decline(BOB);
  expect(first.json).toMatchObject({ state: "declined", declined_by: "bob", approved_by: null });
  expect((await decline(CAROL)).json).toEqual(first.json);
  expect((await decline(ALICE, "r-2")).json).toMatchObject({ state: "declined", declined_by: "alice" });
  const refused = await approve(CAROL);
  expect(codeOf(refused)).toEqual([409, "reversal_closed"]);
  expect(refused.json.detail).toMatch(/^The proposal is declined, by bob\./);
  expect(await available(account)).toBe("1118.000");
});

it("expires after seven days without a decision", async () => {
  const { account, body } = await charged();
  await propose(body);
  vi.useFakeTimers({ now: Date.now(), toFake: ["Date"] });
  vi.setSystemTime(Date.now() + WEEK_MS - 5_000);
  expect(await shown()).toMatchObject({ state: "proposed" });
  vi.setSystemTime(Date.now() + 5_000);
  expect(await shown()).toMatchObject({ state: "expired" });
  expect(codeOf(await approve(BOB))).toEqual([409, "reversal_closed"]);
  expect(codeOf(await decline(BOB))).toEqual([409, "reversal_closed"]);
  const ids = async (state: string) =>
    (await ask(`?state=${state}`, { key: BOB })).json.data.map(({ id }: { id: string }) => id);
  expect([await ids("proposed"), await ids("expired")]).toEqual([[], ["r-1"]]);
  vi.useRealTimers();
  expect(await available(account)).toBe("1118.000");
});

it("lists reversals newest first, by state and in pages", async () => {
  const { body } = await charged();
  for (const id of ["r-1", "r-2", "r-3"]) await propose({ ...body, id });
  await decline(BOB, "r-2");
  const ids = ({ json }: Answer) => json.data.map(({ id }: { id: string }) => id);
  const first = await ask("?limit=2", { key: BOB });
  expect(ids(first)).toEqual(["r-3", "r-2"]);
  const second = await ask(`?limit=2&cursor=${first.json.next}`, { key: BOB });
  expect([ids(second), second.json.next]).toEqual([["r-1"], null]);
  expect(ids(await ask("?state=proposed", { key: BOB }))).toEqual(["r-3", "r-1"]);
  expect(ids(await ask("?state=declined", { key: BOB }))).toEqual(["r-2"]);
  expect(codeOf(await ask("?cursor=x", { key: BOB }))).toEqual([400, "invalid_request"]);
  expect(codeOf(await ask("?state=done", { key: BOB }))).toEqual([400, "invalid_request"]);
});

it("knows no proposal of an id that nobody used", async () => {
  for (const answer of [await approve(BOB), await decline(BOB), await ask("/r-1", { key: BOB })]) {
    expect(codeOf(answer)).toEqual([404, "reversal_not_found"]);
  }
});

it("names the operator in events, and never a key", async () => {
  const { body } = await charged();
  const log = vi.spyOn(console, "log");
  await propose(body);
  await approve(BOB);
  const lines = log.mock.calls.map(([line]) => String(line)).filter((line) => line.includes('"reversal_'));
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { event: "reversal_proposed", operator: "alice", reversal: "r-1", job: body.job },
    { event: "reversal_approved", operator: "bob", proposed_by: "alice", approved_by: "bob", outcome: "reversed" },
  ]);
  expect(log.mock.calls.flat().join("\n")).not.toMatch(/key-of-/);
});

it("takes the provider's share back in the log too, which stays balanced", async () => {
  // Reversals of other tests may reach this log; none of theirs is of this provider.
  const provider = idOf<AccountId>("the provider of this test");
  const { account, job, body } = await charged(provider);
  const share = async () => {
    const windows = new Set((await receiptsOfJob(env.DB, job)).map(({ window }) => window));
    const sums = (await Promise.all([...windows].map((window) => rollupsOf(env.DB, window)))).flat();
    expect(imbalances(sums)).toEqual([]);
    return sums.filter(({ side, payee }) => side === "share" && payee === provider);
  };
  const receipt = await signReceipt(env, (await account.object.receipt(job)) ?? "");
  await deliver([pack([receipt])], { now: Date.now() });
  expect(await share()).toMatchObject([{ millicredits: 77_900, receipts: 1 }]);
  await propose(body);
  await approve(BOB);
  const logged = async () =>
    (await receiptsOfJob(env.DB, job)).map(({ n, outcome, nano_usd }) => [n, outcome, nano_usd]);
  await expect.poll(logged, { timeout: 10_000 }).toEqual([
    [0, "completed", 82_000],
    [1, "reversed", -82_000],
  ]);
  const after = await share();
  expect(after.map(({ receipts }) => receipts).reduce((a, b) => a + b)).toBe(2);
  expect(after.map(({ millicredits }) => millicredits).reduce<number>((a, b) => a + b, 0)).toBe(0);
});
