/** A very large account on the running network: its jobs are held by slices, and nobody who looks needs to know. */

import { env } from "cloudflare:workers";
import { beforeEach, expect, it, vi } from "vitest";
import { type JobId, sliceOf } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { holderOf } from "../../../durable-objects/shared/holder.ts";
import { answering, type ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import { holdOf } from "../account/bank.ts";
import { sliceJob } from "../account/slices/hot-bank.ts";
import {
  accountOf,
  addDaemon,
  balance,
  call,
  chat,
  openAccount,
  openMarket,
  type TestAccount,
  until,
  withKey,
} from "./network.ts";

const PAID = 1_000_000_000;

let consumer: TestAccount;
let daemon: ScriptedDaemon;
/** What the daemon does with a job. */
let onJob: (job: ScriptedJob) => unknown;

/** Makes an account hot, and has the gateway hear of its slices. From here on every call goes to the last of them. */
beforeEach(async () => {
  const { provider } = await openMarket();
  onJob = answering(["Hello", " there"]);
  consumer = await openAccount(false);
  const { rpc, credentials } = accountOf(consumer);
  await rpc.credit({ id: "paid", kind: "topup", backing: "usdc", amount: PAID, expiresAt: null, memo: "" });
  const bank = { ...consumer, name: "", credentials, rpc, stub: env.ACCOUNT.getByName(consumer.account) as never };
  vi.useFakeTimers({ toFake: ["Date"] });
  const requests = Array.from({ length: LIMITS.hotHoldsPerSecond }, () => holdOf(bank, { job: sliceJob(0) }));
  await Promise.all(requests.map((request) => rpc.hold(request)));
  await Promise.all(requests.map(({ job }) => rpc.void(job, "test")));
  vi.useRealTimers();
  daemon = await addDaemon(provider, { onJob: (job) => onJob(job) });
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  await until(async () => {
    const response = await chat(consumer.apiKey);
    await response.text();
    return sliceOf(response.headers.get("x-job-id") as JobId) > 0;
  }, "a job of a slice");
});

const get = async <T>(path: string): Promise<T> => await (await call(path, withKey(consumer.apiKey))).json<T>();

interface Entry {
  readonly seq: number;
  readonly slice?: number;
  readonly type: string;
  readonly body: string;
}

it("answers from a slice as from the account, and shows its jobs, receipts, entries and usage among the others", async () => {
  const before = await balance(consumer.apiKey);
  const response = await chat(consumer.apiKey, { stream: true, stream_options: { include_usage: true } });
  const job = response.headers.get("x-job-id") as JobId;
  expect([response.status, sliceOf(job) > 0]).toEqual([200, true]);
  expect(await response.text()).toContain("[DONE]");
  expect(before.available - (await balance(consumer.apiKey)).available).toBe(8 * 20 + 2 * 80);

  expect(await get(`/api/v1/jobs/${job}`)).toMatchObject({ id: job, state: "completed" });
  const { body } = await get<{ body: string }>(`/api/v1/receipts/${job}`);
  expect(JSON.parse(body)).toMatchObject({ job, slice: sliceOf(job) });

  const all: Entry[] = [];
  for (let from: number | null = 1; from !== null; ) {
    const page: { data: Entry[]; next: number | null } = await get(`/api/v1/ledger?from=${from}&limit=7`);
    all.push(...page.data);
    from = page.next;
  }
  const theirs = all.filter((entry) => entry.body === body);
  expect(theirs.map(({ slice }) => slice)).toEqual([sliceOf(job)]);
  expect(all[0]).not.toHaveProperty("slice");
  const own = await get<{ data: Entry[] }>("/api/v1/ledger?slice=0&limit=1000");
  expect(own.data.map(({ seq }) => seq)).toEqual(Array.from({ length: own.data.length }, (_, index) => index + 1));
  expect(own.data.every((entry) => entry.slice === undefined)).toBe(true);
  const one = await get<{ data: Entry[] }>(`/api/v1/ledger?slice=${sliceOf(job)}&limit=1000`);
  expect(one.data.every(({ slice }) => slice === sliceOf(job))).toBe(true);
  const csv = await (await call("/api/v1/ledger?format=csv", withKey(consumer.apiKey))).text();
  expect(csv).toContain(job);

  const spent = all.filter(({ type }) => type === "spent").length;
  for (const by of ["day", "key", "member", "model", "lane"]) {
    const { data } = await get<{ data: { completed: number; name: string | null }[] }>(`/api/v1/usage?by=${by}`);
    expect(data.reduce((sum, row) => sum + row.completed, 0)).toBe(spent);
  }
});

it("moves to the account what its slice cannot decide, under an id of the account's own", async () => {
  const response = await chat(consumer.apiKey, { max_tokens: 100_000, model: "test-model" });
  expect(response.status).toBe(400);
  const dedicated = await chat(consumer.apiKey, { lane: "dedicated" });
  expect([dedicated.status, sliceOf(dedicated.headers.get("x-job-id") as JobId)]).toEqual([400, 0]);
  const keyed = await chat(consumer.apiKey, {}, { headers: { "idempotency-key": "one" } });
  await keyed.text();
  expect([keyed.status, sliceOf(keyed.headers.get("x-job-id") as JobId)]).toEqual([200, 0]);
});

it("takes a receipt back where it is, by its job's id", async () => {
  const response = await chat(consumer.apiKey);
  await response.text();
  const job = response.headers.get("x-job-id") as JobId;
  const before = await balance(consumer.apiKey);
  const command = { job, reason: "wrong", by: ["ann", "ben"] };
  expect(await holderOf(env, consumer.account, job).reverse(command)).toMatchObject({ type: "reversed" });
  expect((await balance(consumer.apiKey)).available - before.available).toBe(8 * 20 + 2 * 80);
});

it("gives a slice's hold back when its consumer goes away", async () => {
  const before = await balance(consumer.apiKey);
  const gone = new AbortController();
  onJob = (job) => (job.accept(), gone.abort());
  await expect(Promise.resolve(chat(consumer.apiKey, {}, { signal: gone.signal }))).rejects.toThrow();
  await daemon.next("cancel");
  expect(daemon.jobs.map(({ job }) => sliceOf(job.job) > 0)).toContain(true);
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
  expect(await balance(consumer.apiKey)).toEqual(before);
});
