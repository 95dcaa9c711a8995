/** What breaks on the way: connections that are cut, and more jobs than a balance carries. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { testModel } from "../support/models.ts";
import type { ScriptedJob } from "../support/scripted-daemon.ts";
import { cleanUp } from "./support/children.ts";
import { Network, type TestAccount, until } from "./support/network.ts";
import { rawChat } from "./support/raw-client.ts";
import { addScripted, talkUntilCancelled } from "./support/scripted.ts";
import { chunksOf, eventsOf, textOf } from "./support/sse.ts";

/** 80 millicredits a completion token, 20 a prompt token. */
const MODELS = ["left-model", "lost-model", "busy-model", "cheap-model"].map((id) => testModel({ id }));
const HI = [{ role: "user", content: "Hi" }];
/** The gateway's bound for that: a token for each byte, four for the message and four for the answer's opening. */
const PROMPT_BOUND = 10;

let network: Network;
let provider: TestAccount;
beforeAll(async () => {
  network = await Network.start(MODELS);
  provider = await network.open({ starter: false });
});
afterAll(async () => {
  await cleanUp();
  await network?.close();
});

it("charges the prompt and what was sent until then when the consumer's connection is reset", async () => {
  const consumer = await network.open();
  const supply = await addScripted(network, provider, {
    number: 1,
    model: "left-model",
    onJob: (job) => talkUntilCancelled(job, supply.daemon),
  });
  const { daemon } = supply;
  const answer = await rawChat(network, consumer, { model: "left-model", messages: HI, stream: true });
  await answer.until("word");
  const [job] = daemon.jobs as [ScriptedJob];
  expect((await network.balance(consumer)).held).toBeGreaterThan(0);

  answer.reset();
  await daemon.next("cancel", ({ stream }) => stream === job.job.stream);
  await daemon.next("settled", ({ job: id }) => id === job.job.job);

  const receipt = await network.receipt(job.job.job, consumer);
  // What the daemon sent after the relay had cut the stream is in its claim, and nobody pays for it.
  const { relayed } = receipt.usage;
  const seen = textOf(chunksOf(answer.text())).split(" word").length - 1;
  expect(seen).toBeGreaterThan(0);
  expect(relayed).toBeGreaterThanOrEqual(seen);
  expect(relayed).toBeLessThanOrEqual(job.completion);
  const charge = 8 * 20 + relayed * 80;
  expect(receipt).toMatchObject({
    outcome: "cancelled",
    usage: { prompt: 8, completion: relayed },
    charge: { millicredits: charge },
  });
  expect(await network.balance(consumer)).toEqual({ available: 1_200_000 - charge, held: 0 });
});

it("charges nothing when the daemon's connection is reset, and says so in the stream", async () => {
  const consumer = await network.open();
  const { daemon, reset } = await addScripted(network, provider, {
    number: 2,
    model: "lost-model",
    onJob: (job) => {
      job.accept();
      for (const word of ["One", " two"]) job.text(word);
    },
  });
  const answer = await rawChat(network, consumer, { model: "lost-model", messages: HI, stream: true });
  await answer.until("two");
  reset();
  await answer.until("[DONE]");

  expect(answer.status).toBe(200);
  expect(eventsOf(answer.text()).at(-1)).toBe("[DONE]");
  const chunks = chunksOf(answer.text());
  expect(textOf(chunks)).toBe("One two");
  const last = chunks.at(-1);
  expect(last?.choices[0]?.finish_reason).toBe("error");
  expect(last?.error).toMatchObject({ code: "stream_interrupted", type: "server_error" });

  const [job] = daemon.jobs as [ScriptedJob];
  await until(async () => (await network.balance(consumer)).held === 0, "the end of the hold");
  expect(await network.balance(consumer)).toEqual({ available: 1_200_000, held: 0 });
  expect(await network.receipt(job.job.job, consumer)).toMatchObject({
    outcome: "failed",
    usage: { prompt: 0, completion: 0 },
    charge: { nano_usd: 0, millicredits: 0, parts: [] },
    claim: null,
  });
  await network.supply("lost-model", 0);
});

it("serves of a hundred parallel jobs the thirty that the balance carries", async () => {
  const consumer = await network.open({ starter: false });
  // Each job costs exactly what it holds, 5 credits, so that no ending makes room for another one.
  const tokens = (5_000 - PROMPT_BOUND * 20) / 80;
  await network.credit(consumer, "150.000");
  const { daemon } = await addScripted(network, provider, {
    number: 3,
    model: "busy-model",
    onJob: (job) => {
      job.accept();
      job.text("word ".repeat(tokens), tokens);
      job.done({ usage: { prompt: PROMPT_BOUND, completion: tokens } });
    },
  });
  const body = { model: "busy-model", messages: HI, max_completion_tokens: tokens };
  const balances: number[] = [];
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const response = await network.chat(consumer, { ...body, stream: index % 2 === 0 });
      await response.text();
      balances.push((await network.balance(consumer)).available);
      return response;
    }),
  );

  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(30);
  expect(statuses.filter((status) => status === 402)).toHaveLength(70);
  expect(Math.min(...balances)).toBe(0);
  expect(daemon.jobs).toHaveLength(30);
  const receipts = await network.receipts(consumer);
  expect(receipts.map(({ charge }) => charge.millicredits)).toEqual(Array.from({ length: 30 }, () => 5_000));
  expect(await network.balance(consumer)).toEqual({ available: 0, held: 0 });
});

it("never goes below zero when jobs cost less than they hold, and adds up", async () => {
  const consumer = await network.open({ starter: false });
  await network.credit(consumer, "150.000");
  await addScripted(network, provider, {
    number: 4,
    model: "cheap-model",
    onJob: async (job) => {
      job.accept();
      job.text("Yes");
      // Some endings come while other jobs are still asking, and make room for them.
      await new Promise((resolve) => setTimeout(resolve, (job.job.stream % 5) * 10));
      job.text(".");
      job.done({ usage: { prompt: 8, completion: 2 } });
    },
  });
  const body = { model: "cheap-model", messages: HI, max_completion_tokens: 60 };
  const balances: number[] = [];
  const statuses = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const response = await network.chat(consumer, body);
      await response.text();
      balances.push((await network.balance(consumer)).available);
      return response.status;
    }),
  );

  const receipts = await network.receipts(consumer);
  const charged = receipts.reduce((sum, { charge }) => sum + charge.millicredits, 0);
  expect(statuses.filter((status) => status === 200)).toHaveLength(receipts.length);
  expect(statuses.filter((status) => status === 402)).toHaveLength(100 - receipts.length);
  expect(receipts.length).toBeGreaterThanOrEqual(30);
  expect(charged).toBe(receipts.length * (8 * 20 + 2 * 80));
  expect(Math.min(...balances)).toBeGreaterThanOrEqual(0);
  expect(await network.balance(consumer)).toEqual({ available: 150_000 - charged, held: 0 });
});
