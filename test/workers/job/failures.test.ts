import { expect, it } from "vitest";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import { answering } from "../../support/scripted-daemon.ts";
import { addDaemon, balance, chat, eventsOf, onlyReceipt, openMarket, receiptsOf, STARTER } from "./network.ts";

const good = answering(["Hello"]);
const errorOf = async (response: Response) =>
  (await response.json<{ error: { code: string; message: string } }>()).error;

/** What a bad daemon does before its first token, and how long that takes the relay to notice. */
const BEFORE: [string, (job: ScriptedJob) => void][] = [
  ["declines", (job) => job.decline()],
  ["accepts and then declines", (job) => (job.accept(), job.decline())],
  ["fails", (job) => (job.accept(), job.fail())],
  ["goes away", (job) => (job.accept(), job.daemon.socket.close(1000, "bye"))],
  ["says nothing for a second", () => {}],
  ["sends a frame that is no UTF-8", (job) => job.frame(0, Uint8Array.of(0xff), 1)],
  ["sends a choice that was not asked for", (job) => job.send(0, 7, "text")],
];

it.each(BEFORE)("moves a job on when its daemon %s", async (_, onJob) => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { number: 1, onJob });
  // The second one comes when the first has the job, so that the first is surely asked first.
  const answer = chat(consumer.apiKey);
  const second = await addDaemon(provider, { number: 2, onJob: good });
  const response = await answer;
  expect(response.status).toBe(200);
  await response.text();
  const receipt = await onlyReceipt(consumer);
  expect(receipt).toMatchObject({ daemon: second.key.id, outcome: "completed" });
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - receipt.charge.millicredits, held: 0 });
});

it("moves twice at most, and then says that nothing was charged", async () => {
  const { consumer, provider } = await openMarket();
  const asked: number[] = [];
  for (let number = 1; number <= 4; number++) {
    await addDaemon(provider, { number, onJob: (job) => (asked.push(number), job.decline()) });
  }
  const response = await chat(consumer.apiKey);
  expect(response.status).toBe(502);
  expect(response.headers.get("x-should-retry")).toBe("false");
  expect(await errorOf(response)).toMatchObject({ code: "provider_failed" });
  expect(new Set(asked)).toHaveLength(3);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
  expect(await receiptsOf(consumer)).toEqual([]);
});

it("does not try elsewhere what the request itself caused", async () => {
  const { consumer, provider } = await openMarket();
  let asked = 0;
  for (const number of [1, 2]) {
    await addDaemon(provider, { number, onJob: (job) => (asked++, job.accept(), job.fail("context_length_exceeded")) });
  }
  const response = await chat(consumer.apiKey);
  expect(response.status).toBe(400);
  expect(await errorOf(response)).toMatchObject({ code: "context_length_exceeded" });
  expect(asked).toBe(1);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

/** What a bad daemon does after its first token. */
const AFTER: [string, (job: ScriptedJob) => void][] = [
  ["fails", (job) => job.fail()],
  ["goes away", (job) => job.daemon.socket.close(1000, "bye")],
  ["sends a frame that is no UTF-8", (job) => job.frame(0, Uint8Array.of(0xff), 1)],
  ["sends a structured delta that is none", (job) => job.send(1, 0, '{"delta":{"content":7}}')],
];

it.each(AFTER)("ends the stream with an error and charges nothing when its daemon %s", async (_, then) => {
  const { consumer, provider } = await openMarket();
  const onJob = (job: ScriptedJob) => (job.accept(), job.text("Hel"), then(job));
  const daemon = await addDaemon(provider, { onJob });
  const response = await chat(consumer.apiKey, { stream: true });
  expect(response.status).toBe(200);
  const events = eventsOf(await response.text());
  expect(events.at(-1)).toBe("[DONE]");
  expect(JSON.parse(events.at(-2) ?? "")).toMatchObject({
    choices: [{ finish_reason: "error" }],
    error: { code: "stream_interrupted" },
  });
  const receipt = await onlyReceipt(consumer);
  expect(receipt).toMatchObject({ daemon: daemon.key.id, outcome: "failed", charge: { nano_usd: 0 }, split: [] });
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

it("tells a plain caller that its answer broke off", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { onJob: (job) => (job.accept(), job.text("Hel"), job.fail()) });
  const response = await chat(consumer.apiKey);
  expect(response.status).toBe(502);
  expect(response.headers.get("x-should-retry")).toBe("false");
  expect(await errorOf(response)).toMatchObject({ code: "stream_interrupted" });
});

it("gives the next job to the other daemon when one of two was killed", async () => {
  const { consumer, provider } = await openMarket();
  const [first, second] = [
    await addDaemon(provider, { number: 1, onJob: good }),
    await addDaemon(provider, { number: 2, onJob: good }),
  ];
  await Promise.all([chat(consumer.apiKey), chat(consumer.apiKey)]);
  expect([first.jobs.length, second.jobs.length]).toEqual([1, 1]);
  first.socket.close(1001, "killed");
  for (let job = 2; job <= 5; job++) {
    expect((await chat(consumer.apiKey)).status).toBe(200);
    expect([first.jobs.length, second.jobs.length]).toEqual([1, job]);
  }
});

it("gives a waiting job to a daemon that joins later, within a second", async () => {
  const { consumer, provider } = await openMarket();
  const answer = chat(consumer.apiKey);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const joined = Date.now();
  await addDaemon(provider, { onJob: good });
  expect((await answer).status).toBe(200);
  expect(Date.now() - joined).toBeLessThan(1_000);
});
