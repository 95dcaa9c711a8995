/** Daemons that come, go and die, each a process of its own. */

import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { wholeDaemon } from "../../protocol/network/daemons.ts";
import type { Usage } from "../../protocol/openai/chat.ts";
import { cleanUp } from "./support/children.ts";
import { between, Daemon } from "./support/daemon.ts";
import { ANSWER, Network, QUESTION, type TestAccount, TOY_MODEL, until } from "./support/network.ts";
import { rawChat } from "./support/raw-client.ts";
import { SLOWLY, type SlowEngine, startSlowEngine } from "./support/slow-engine.ts";
import { chunksOf, eventsOf, textOf } from "./support/sse.ts";

const TOY = TOY_MODEL.id;
const SLOW_JOB = { model: TOY, messages: [{ role: "user", content: `Answer ${SLOWLY}` }], stream: true };

let network: Network;
let consumer: TestAccount;
let provider: TestAccount;
let engine: SlowEngine;
beforeAll(async () => {
  [network, engine] = await Promise.all([Network.start([TOY_MODEL]), startSlowEngine()]);
  consumer = await network.open();
  provider = await network.open({ starter: false });
});
// Each test begins in a network without daemons.
afterEach(async () => {
  await cleanUp();
  await network.supply(TOY, 0);
});
afterAll(async () => {
  await cleanUp();
  await engine?.close();
  await network?.close();
});

/** A daemon with one slot whose engine stops in the middle of an answer, under the toy's name. */
function startSlowDaemon(): Promise<Daemon> {
  return Daemon.start(network, provider, { engine: engine.flags(TOY) });
}

/** Asks the question, and tells the answer and the job. */
async function ask(): Promise<{ text: string; job: string }> {
  const messages = [{ role: "user", content: QUESTION }];
  const response = await network.chat(consumer, { model: TOY, messages, temperature: 0 });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const body = JSON.parse(text) as { choices: [{ message: { content: string } }]; usage: Usage };
  return { text: body.choices[0].message.content, job: body.usage.receipt ?? "" };
}

it("gives the next job to the other daemon when one is killed", async () => {
  const daemons = [await Daemon.start(network, provider), await Daemon.start(network, provider)];
  await network.supply(TOY, 2);
  const first = await ask();
  const { daemon: served } = await network.receipt(first.job, consumer);
  const ids = await Promise.all(daemons.map((daemon) => daemon.id()));
  expect(ids).toContain(served);

  daemons[ids.indexOf(served)]?.signal("SIGKILL");
  const second = await ask();
  expect(second.text).toBe(ANSWER);
  const receipt = await network.receipt(second.job, consumer);
  expect(receipt).toMatchObject({ outcome: "completed", daemon: ids.find((id) => id !== served) });
  await network.supply(TOY, 1);
});

it("gives work to a daemon that joins later within a second", async () => {
  const busy = await startSlowDaemon();
  await network.supply(TOY, 1);
  const running = await rawChat(network, consumer, SLOW_JOB);
  await running.until("Half");
  const waiting = ask();
  await until(async () => (await network.waiting(TOY)) === 1, "a job that waits");

  const joined = await Daemon.start(network, provider);
  const { text, job } = await waiting;
  expect(text).toBe(ANSWER);
  const connected = await joined.event("connected");
  expect(between(connected, await joined.event("job", job))).toBeLessThan(1_000);
  expect(between(connected, await joined.event("job_done", job))).toBeLessThan(1_000);
  expect(busy.events.filter(({ event }) => event === "job")).toHaveLength(1);
  expect(running.text()).not.toContain("DONE");
  engine.release();
  await running.until("[DONE]");
});

it("ends what it has begun when it is asked to stop, then exits with 0", async () => {
  const daemon = await startSlowDaemon();
  await network.supply(TOY, 1);
  const answer = await rawChat(network, consumer, SLOW_JOB);
  await answer.until("Half");
  daemon.signal("SIGTERM");
  await daemon.event("draining");
  await network.supply(TOY, 0);
  expect(daemon.hasEnded).toBe(false);

  engine.release();
  await answer.until("[DONE]");
  const chunks = chunksOf(answer.text());
  expect(textOf(chunks)).toBe("Half an answer and the rest.");
  expect(chunks.some(({ choices }) => choices[0]?.finish_reason === "stop")).toBe(true);
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
  const job = String(answer.headers["x-job-id"]);
  expect(await network.receipt(job, consumer)).toMatchObject({ outcome: "completed" });
  // It waited until the network had its claim.
  const names = daemon.events.map(({ event }) => event);
  expect(names.indexOf("claim_settled")).toBeGreaterThan(names.indexOf("job_done"));
  expect(names.at(-1)).toBe("ended");
});

it("is drained by its account while a job runs, stays so over its restart, and is resumed", async () => {
  let daemon = await startSlowDaemon();
  await network.supply(TOY, 1);
  const id = await daemon.id();
  const look = () => network.json(`/api/v1/daemons/${id}`, wholeDaemon, { apiKey: provider.apiKey });
  const steer = (verb: string) =>
    network.json(`/api/v1/daemons/${id}/${verb}`, wholeDaemon, { method: "POST", apiKey: provider.apiKey });
  const running = await rawChat(network, consumer, SLOW_JOB);
  await running.until("Half");
  expect(await steer("drain")).toMatchObject({ state: "draining", connection: { running: 1 } });
  await network.supply(TOY, 0);
  engine.release();
  await running.until("[DONE]");
  expect(textOf(chunksOf(running.text()))).toBe("Half an answer and the rest.");
  expect(await network.receipt(String(running.headers["x-job-id"]), consumer)).toMatchObject({ outcome: "completed" });

  daemon.signal("SIGTERM");
  await daemon.exited;
  daemon = await Daemon.start(network, provider, { engine: engine.flags(TOY), home: daemon.home });
  expect((await daemon.event("message_from_network"))["text"]).toContain("has drained this daemon");
  await until(async () => (await look()).connection?.models.length === 1, "its offer");
  const waiting = rawChat(network, consumer, SLOW_JOB);
  await until(async () => (await network.waiting(TOY)) === 1, "a job that waits");
  expect(daemon.events.filter(({ event }) => event === "job")).toEqual([]);
  expect(await steer("resume")).toMatchObject({ state: "serving", drained_at: null });
  const answer = await waiting;
  await answer.until("Half");
  engine.release();
  await answer.until("[DONE]");
});

it("gives up what it has begun at a second signal, and exits with 130", async () => {
  const daemon = await startSlowDaemon();
  await network.supply(TOY, 1);
  const before = await network.balance(consumer);
  const answer = await rawChat(network, consumer, SLOW_JOB);
  await answer.until("Half");
  daemon.signal("SIGINT");
  await daemon.event("draining");
  daemon.signal("SIGINT");
  expect(await daemon.exited).toEqual({ code: 130, signal: null });

  await answer.until("[DONE]");
  expect(eventsOf(answer.text()).at(-1)).toBe("[DONE]");
  const last = chunksOf(answer.text()).at(-1);
  expect(last).toMatchObject({ choices: [{ finish_reason: "error" }], error: { code: "stream_interrupted" } });
  await until(async () => (await network.balance(consumer)).held === 0, "the end of the hold");
  expect(await network.balance(consumer)).toEqual(before);
});
