/** Jobs for the daemons of their own account: free, without a receipt, and on nobody else's (economics.md §6). */

import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { answering, type ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import {
  accountOf,
  addDaemon,
  addModel,
  balance,
  call,
  chat,
  connect,
  crash,
  openAccount,
  supply,
  type TestAccount,
  until,
  withKey,
} from "./network.ts";

const OWN = { route: "self" };
const entriesOf = async (account: TestAccount) => {
  const { rpc, credentials } = accountOf(account);
  const answer = await rpc.entries(credentials, 0, 100);
  return answer.ok ? answer.value : [];
};

/** An account without any credits, with a daemon of its own. */
async function openOwn(onJob?: (job: ScriptedJob) => unknown) {
  await addModel();
  const owner = await openAccount(false);
  const daemon = await addDaemon(owner, onJob === undefined ? {} : { onJob });
  return { owner, daemon };
}

it.each([{ stream: false }, { stream: true, stream_options: { include_usage: true } }])(
  "answers without a balance, an entry or a receipt: %j",
  async (form) => {
    const { owner, daemon } = await openOwn();
    const response = await chat(owner.apiKey, { ...OWN, ...form });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-job-id")).toBe(daemon.jobs[0]?.job.job);
    expect(response.headers.get("ratelimit")).toMatch(/;r=29999;/);
    const text = await response.text();
    expect(text).toContain("Hello");
    expect(text).toMatch(
      /"total_tokens":10,"cost":"0.000","cost_usd":"0[.0]*","lane":null,"queue_ms":\d+,"receipt":null/,
    );
    expect(await daemon.next("settled")).toMatchObject({ job: daemon.jobs[0]?.job.job, receipt: null });
    expect(daemon.jobs[0]?.job.lane).toBeNull();
    expect(await entriesOf(owner)).toEqual([]);
    expect(await balance(owner.apiKey)).toEqual({ available: 0, held: 0 });
  },
);

it("goes to no daemon of others, however free", async () => {
  const { daemon } = await openOwn();
  const stranger = await openAccount();
  const gone = new AbortController();
  const answer = chat(stranger.apiKey, OWN, { signal: gone.signal }).catch(() => null);
  await until(async () => (await supply("test-model")).waiting === 1, "a job that waits");
  gone.abort();
  await until(async () => (await supply("test-model")).waiting === 0, "an empty queue");
  expect(await answer).toBeNull();
  expect(daemon.jobs).toHaveLength(0);
});

it("waits for the own daemon's slot, and lets others have the rest", async () => {
  const { owner, daemon } = await openOwn((job) => job.accept());
  const { daemon: shared, consumer } = await withOthers();
  const own = Array.from({ length: 9 }, () => chat(owner.apiKey, OWN));
  await until(() => daemon.jobs.length === 8, "all own slots");
  expect((await chat(consumer.apiKey)).status).toBe(200);
  for (let n = 0; n < 9; n++) {
    await until(() => daemon.jobs.length > n, "the next own job");
    daemon.jobs[n]?.text("Hi");
    daemon.jobs[n]?.done();
  }
  expect((await Promise.all(own)).map(({ status }) => status)).toEqual(Array.from({ length: 9 }, () => 200));
  expect(shared.jobs.map(({ job }) => job.lane)).toEqual(["public"]);
});

async function withOthers(): Promise<{ daemon: ScriptedDaemon; consumer: TestAccount }> {
  const daemon = await addDaemon(await openAccount(), { number: 2, onJob: answering(["Hello"]) });
  return { daemon, consumer: await openAccount() };
}

it("moves to another own daemon", async () => {
  const { owner, daemon } = await openOwn((job) => job.decline());
  const answer = chat(owner.apiKey, OWN);
  await until(() => daemon.jobs.length === 1);
  await addDaemon(owner, { number: 2, onJob: answering(["Hello"]) });
  expect((await answer).status).toBe(200);
});

it("stops when its consumer leaves, and nobody is asked for money", async () => {
  const { owner, daemon } = await openOwn((job) => (job.accept(), job.text("One")));
  const response = await chat(owner.apiKey, { ...OWN, stream: true });
  await response.body?.cancel();
  await daemon.next("cancel");
  daemon.jobs[0]?.done({ finish_reason: "cancelled" });
  expect(await daemon.next("settled")).toMatchObject({ receipt: null });
  expect(await entriesOf(owner)).toEqual([]);
});

it("answers for a claim whose relay was lost, without asking an account", async () => {
  const { owner, daemon } = await openOwn((job) => (job.accept(), job.text("One")));
  await (await chat(owner.apiKey, { ...OWN, stream: true })).body?.cancel();
  for (const shard of [0, 1]) await crash(env.RELAY.getByName(`${env.TOLLMILL_REGION}/${shard}`));
  const { stream: _, ...late } = daemon.jobs[0]?.claim() ?? {};
  const again = await connect(1);
  again.send({ type: "hello", version: 1, daemon: daemon.key.id });
  await again.next("welcome");
  again.send(late);
  expect(await again.next("refused")).toMatchObject({ reason: "own_device" });
});

it("counts in its key's minute, and asks for a key that counts", async () => {
  const { owner } = await openOwn();
  const made = await call("/api/v1/keys", {
    method: "POST",
    body: JSON.stringify({ name: "slow", requests_per_minute: 1, models: ["test-model"], scopes: ["inference"] }),
    ...withKey(owner.apiKey, { "content-type": "application/json", "idempotency-key": "one" }),
  });
  const { key: slow } = await made.json<{ key: string }>();
  expect((await chat(slow, OWN)).status).toBe(200);
  const second = await chat(slow, OWN);
  expect([second.status, second.headers.get("retry-after")]).toEqual([429, expect.stringMatching(/^\d+$/)]);
  await addModel({ id: "other-model" });
  expect((await chat(slow, { ...OWN, model: "other-model" })).status).toBe(403);
});

it("is in no lane and no network", async () => {
  const { owner } = await openOwn();
  for (const named of [{ lane: "public" }, { network: "mine" }]) {
    const answer = await chat(owner.apiKey, { ...OWN, ...named });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { param: Object.keys(named)[0] } });
  }
});

it("is estimated at nothing", async () => {
  const { owner } = await openOwn();
  const body = { model: "test-model", messages: [{ role: "user", content: "Hi" }], ...OWN };
  const answer = await call("/api/v1/estimate", {
    method: "POST",
    body: JSON.stringify(body),
    ...withKey(owner.apiKey, { "content-type": "application/json" }),
  });
  expect(await answer.json()).toMatchObject({
    lane: null,
    prompt_tokens: 10,
    hold: "0.000",
    expected: "0.000",
    covered: true,
    per_1k: "0.000",
  });
});
