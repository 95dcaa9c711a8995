/** A daemon that says nothing for too long gets another one beside it, and one of them wins (docs/decisions/0059). */

import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { firstTokenDeadlineMs } from "../../../core/scheduler/first-token.ts";
import type { RelayRpc, SchedulerRpc } from "../../../protocol/internal/pool.ts";
import { answering, type ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import { holdBack } from "./hold-back.ts";
import {
  addDaemon,
  balance,
  call,
  chat,
  crash,
  onlyReceipt,
  openMarket,
  readUntil,
  receiptsOf,
  STARTER,
  supply,
  type TestAccount,
  until,
  withKey,
} from "./network.ts";

/** Eight seconds for the test's model, and a thousandth of one for each token of its prompt; here they pass faster. */
const RULE = firstTokenDeadlineMs(8_000, 10, GENESIS_PARAMETERS);
const DEADLINE_MS = 150;
const real = globalThis.setTimeout;

beforeEach(() => {
  const faster = (run: () => void, ms = 0) => real(run, ms > RULE - 1_000 && ms <= RULE ? DEADLINE_MS : ms);
  vi.spyOn(globalThis, "setTimeout").mockImplementation(faster);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const pool = () => env.SCHEDULER.getByName(`${env.TOLLMILL_REGION}/test-model`);
const silent = (job: ScriptedJob): void => job.accept();
const idle = async (daemons = 2) => until(async () => (await supply("test-model")).free === 8 * daemons, "free slots");

/** A job at its first daemon, which has accepted it and says nothing, and a second one that does what it is told. */
async function slow(second: (job: ScriptedJob) => unknown, body: object = { stream: true }) {
  const { consumer, provider } = await openMarket();
  const first = await addDaemon(provider, { number: 1, onJob: silent });
  const gone = new AbortController();
  const answer = chat(consumer.apiKey, body, { signal: gone.signal });
  await until(() => first.jobs.length === 1, "the job at the first daemon");
  const other = await addDaemon(provider, { number: 2, onJob: second });
  const [job] = first.jobs;
  if (job === undefined) throw new Error("no job");
  return { consumer, provider, first, job, other, answer, gone };
}

async function expectCharged(consumer: TestAccount, winner: ScriptedDaemon, fence: number, tokens: number) {
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
  const receipt = await onlyReceipt(consumer);
  expect(receipt).toMatchObject({ daemon: winner.key.id, fence, outcome: "completed", usage: { completion: tokens } });
  expect(receipt.split.filter(({ role }) => role === "provider")).toHaveLength(1);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - receipt.charge.millicredits, held: 0 });
}

it.each([{ stream: true }, { stream: false }])(
  "gives the answer of a second daemon, and stops the first: %j",
  async (body) => {
    const { consumer, first, job, other, answer } = await slow(answering(["Hello"]), body);
    const response = await answer;
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("Hello");
    expect(await first.next("cancel")).toMatchObject({ stream: job.job.stream });
    expect(other.jobs[0]?.job.fence).toBeGreaterThan(job.job.fence);
    // What it then claims is nothing.
    job.done({ finish_reason: "cancelled" });
    expect(await first.next("refused")).toMatchObject({ job: job.job.job });
    expect(first.received.map(({ type }) => type)).not.toContain("settled");
    await expectCharged(consumer, other, other.jobs[0]?.job.fence ?? 0, 1);
    await idle();
  },
);

it("goes on with the first daemon where it is faster in the end, and stops the second", async () => {
  const { consumer, first, job, other, answer } = await slow(silent);
  await until(() => other.jobs.length === 1, "the second daemon");
  job.text("Late");
  job.done();
  expect(await (await answer).text()).toContain("Late");
  expect(await other.next("cancel")).toMatchObject({ stream: other.jobs[0]?.job.stream });
  other.jobs[0]?.text("Too late");
  other.jobs[0]?.done();
  await expectCharged(consumer, first, job.job.fence, 1);
  await idle();
});

it("lets one win of two that answer at the same moment", async () => {
  const { consumer, first, job, other, answer } = await slow(silent);
  await until(() => other.jobs.length === 1, "the second daemon");
  for (const each of [job, other.jobs[0]]) {
    each?.text("word");
    each?.done();
  }
  const text = await (await answer).text();
  expect(text.match(/"content":"word"/g)).toHaveLength(1);
  const { fence } = await onlyReceipt(consumer);
  const winner = fence === job.job.fence ? first : other;
  await expectCharged(consumer, winner, fence, 1);
  await idle();
});

it("has asked nobody where the first answers in time, or has begun to", async () => {
  const { consumer, provider } = await openMarket();
  const first = await addDaemon(provider, { number: 1, onJob: (job) => (job.accept(), job.text("One")) });
  const answer = chat(consumer.apiKey);
  await until(() => first.jobs.length === 1);
  const other = await addDaemon(provider, { number: 2 });
  await new Promise((resolve) => setTimeout(resolve, 3 * DEADLINE_MS));
  first.jobs[0]?.done();
  expect((await answer).status).toBe(200);
  expect(other.jobs).toHaveLength(0);
});

it("goes on with the first daemon while no other one is there, and asks one that comes", async () => {
  const { consumer, provider } = await openMarket();
  const first = await addDaemon(provider, { number: 1, onJob: silent });
  const answer = chat(consumer.apiKey);
  await new Promise((resolve) => setTimeout(resolve, 2 * DEADLINE_MS));
  expect(first.received.map(({ type }) => type)).not.toContain("cancel");
  const other = await addDaemon(provider, { number: 2, onJob: answering(["Hello"]) });
  expect((await answer).status).toBe(200);
  await expectCharged(consumer, other, other.jobs[0]?.job.fence ?? 0, 1);
});

it("takes a second dispatch for a move, and makes two at most", async () => {
  const { consumer, provider } = await openMarket();
  const asked: ScriptedJob[] = [];
  for (let number = 1; number <= 4; number++) {
    await addDaemon(provider, { number, onJob: (job) => (job.accept(), asked.push(job)) });
  }
  const answer = chat(consumer.apiKey);
  await until(() => asked.length === 2, "a second dispatch");
  asked[1]?.fail();
  await until(() => asked.length === 3, "a third daemon");
  asked[2]?.fail();
  await new Promise((resolve) => setTimeout(resolve, 3 * DEADLINE_MS));
  expect(asked).toHaveLength(3);
  asked[0]?.fail();
  expect((await answer).status).toBe(502);
  expect(await receiptsOf(consumer)).toEqual([]);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

it("decides once although the pool is lost between the second grant and the first token", async () => {
  const { consumer, job, other, answer } = await slow(silent);
  await until(() => other.jobs.length === 1, "the second daemon");
  await crash(pool());
  other.jobs[0]?.text("Hello");
  await (await answer).body?.cancel();
  const { fence, job: id } = job.job;
  await crash(pool());
  const rpc = pool() as unknown as SchedulerRpc;
  expect(await rpc.win(id as never, fence, fence)).toBe(false);
  expect(await rpc.win(id as never, other.jobs[0]?.job.fence ?? 0, fence)).toBe(true);
  other.jobs[0]?.done({ finish_reason: "cancelled" });
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
  expect(await onlyReceipt(consumer)).toMatchObject({ fence: other.jobs[0]?.job.fence, outcome: "cancelled" });
});

it("answers from the second daemon when the first one's relay, and the first, are lost", async () => {
  const { consumer, first, other, answer } = await slow(silent);
  await until(() => other.jobs.length === 1, "the second daemon");
  first.socket.close(1000, "bye");
  other.jobs[0]?.text("Hello");
  other.jobs[0]?.done();
  expect(await (await answer).text()).toContain("Hello");
  await expectCharged(consumer, other, other.jobs[0]?.job.fence ?? 0, 1);
});

it.each(["leaves", "cancels by id"])("ends both, once, when the consumer %s", async (how) => {
  const { consumer, first, job, other, answer, gone } = await slow(silent);
  const caught = answer.catch(() => null);
  await until(() => other.jobs.length === 1, "the second daemon");
  if (how === "leaves") gone.abort();
  else await call(`/api/v1/jobs/${job.job.job}`, { method: "DELETE", ...withKey(consumer.apiKey) });
  await Promise.all([first.next("cancel"), other.next("cancel")]);
  for (const each of [job, other.jobs[0]]) each?.done({ finish_reason: "cancelled" });
  await caught;
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
  expect((await receiptsOf(consumer)).length).toBeLessThanOrEqual(1);
  await idle();
});

it("begins no second attempt where the first has begun before its relay could agree to it", async () => {
  const { consumer, provider } = await openMarket();
  const agreement = await holdBack(env.RELAY.getByName(`${env.TOLLMILL_REGION}/0`), "contest" satisfies keyof RelayRpc);
  const first = await addDaemon(provider, { number: 1, onJob: silent });
  const answer = chat(consumer.apiKey, { stream: true });
  await until(() => first.jobs.length === 1, "the job at the first daemon");
  const other = await addDaemon(provider, { number: 2, onJob: answering(["Hello"]) });
  await agreement.made();
  first.jobs[0]?.text("Mine");
  first.jobs[0]?.done();
  await readUntil(((await answer).body as ReadableStream<Uint8Array>).getReader(), "Mine");
  agreement.release();
  await agreement.arrived();
  await expectCharged(consumer, first, first.jobs[0]?.job.fence ?? 0, 1);
  expect(other.jobs).toHaveLength(0);
});
