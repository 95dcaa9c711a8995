import { expect, it, vi } from "vitest";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  balance,
  call,
  chat,
  eventsOf,
  onlyReceipt,
  openMarket,
  receiptsOf,
  STARTER,
  withKey,
} from "./network.ts";

const HASH = "00".repeat(32);
const text = (job: ScriptedJob) => (job.accept(), job.text("Hello"), job.text(" there"));

/** Claims that say something else than what the relay saw, or that somebody else signed, and the check that they fail. */
const BAD: [string, string, (job: ScriptedJob) => void][] = [
  ["digest of the answer", "digest", (job) => job.done({}, { digest: { ...job.claim().digest, response: HASH } })],
  ["digest of the request", "digest", (job) => job.done({}, { digest: { ...job.claim().digest, request: HASH } })],
  ["salt", "digest", (job) => job.done({}, { digest: { ...job.claim().digest, salt: "ab".repeat(16) } })],
  ["fence", "fence", (job) => job.done({}, { fence: job.job.fence + 1 })],
  ["model", "model", (job) => job.done({}, { model: "other-model" })],
  ["signature", "signature", (job) => job.done({ signature: job.claim({}, { fence: 1 }).signature })],
  [
    "usage under another signature",
    "signature",
    (job) => job.done({ usage: { prompt: 0, completion: 2 }, signature: job.claim().signature }),
  ],
];

it.each(BAD)("charges nothing for a claim with a wrong %s", async (_, failed_check, claim) => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { onJob: (job) => (text(job), claim(job)) });
  const response = await chat(consumer.apiKey, { stream: true });
  const events = eventsOf(await response.text());
  expect(JSON.parse(events.at(-2) ?? "")).toMatchObject({ error: { code: "verification_failed" } });
  expect(await onlyReceipt(consumer)).toMatchObject({
    outcome: "unverified",
    charge: { nano_usd: 0, millicredits: 0 },
    split: [],
    claim: null,
    failed_check,
  });
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

it("does not take the claim of one job for another", async () => {
  const { consumer, provider } = await openMarket();
  const claims: ReturnType<ScriptedJob["claim"]>[] = [];
  const daemon = await addDaemon(provider, {
    onJob: (job) => {
      text(job);
      claims.push(job.claim());
      // The second job is ended with what was signed for the first.
      job.daemon.send({ ...claims[0], stream: job.job.stream, ...(claims.length > 1 ? { job: job.job.job } : {}) });
    },
  });
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect((await chat(consumer.apiKey)).status).toBe(502);
  expect((await receiptsOf(consumer)).map(({ outcome }) => outcome)).toEqual(["completed", "unverified"]);
  expect(daemon.jobs).toHaveLength(2);
});

it("bills what was relayed, whatever is claimed", async () => {
  const { consumer, provider } = await openMarket();
  const usage = { prompt: 1_000_000, completion: 1_000_000 };
  await addDaemon(provider, { onJob: (job) => (text(job), job.done({ usage })) });
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(await onlyReceipt(consumer)).toMatchObject({
    usage: { prompt: 10, completion: 2, relayed: 2 },
    claim: { usage },
    charge: { nano_usd: 10 * 20 + 2 * 80 },
  });
});

it("bills what is claimed where that is less", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { onJob: (job) => (text(job), job.done({ usage: { prompt: 3, completion: 1 } })) });
  await chat(consumer.apiKey);
  expect(await onlyReceipt(consumer)).toMatchObject({ charge: { nano_usd: 3 * 20 + 80 } });
});

it("bills no more tokens than the relayed bytes can be, and none for frames without payload", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, {
    onJob: (job) => {
      job.accept();
      job.text("abc", 60_000);
      job.text("", 60_000);
      job.done();
    },
  });
  await chat(consumer.apiKey);
  // The catalog says that a token has at least one byte.
  expect(await onlyReceipt(consumer)).toMatchObject({ usage: { completion: 3, relayed: 60_000 } });
});

it("never charges more completion tokens than were asked for, whatever room the hold has", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { onJob: (job) => (job.accept(), job.text("x".repeat(4_000), 4_000), job.done()) });
  const response = await chat(consumer.apiKey, { max_tokens: 10 });
  const held = Number(response.headers.get("x-credits-held")) * 1_000;
  const receipt = await onlyReceipt(consumer);
  expect(held).toBe(10 * 20 + 10 * 80);
  expect(receipt.usage).toMatchObject({ prompt: 8, completion: 10 });
  expect(receipt.charge.nano_usd).toBe(8 * 20 + 10 * 80);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - 960, held: 0 });
});

it("settles a claim that comes again as before, and charges once", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider, { onJob: (job) => (text(job), job.done(), job.done()) });
  await chat(consumer.apiKey);
  const { job, receipt } = await daemon.next("settled");
  daemon.received.length = 0;
  // After a reconnect it would name no stream.
  const { stream: _, ...claim } = daemon.jobs[0]?.claim() ?? {};
  daemon.send(claim);
  daemon.send(claim);
  expect(await daemon.next("settled")).toMatchObject({ job, receipt });
  expect(await receiptsOf(consumer)).toHaveLength(1);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - 320, held: 0 });
});

it("refuses a claim whose ticket is not one of this network's, or another daemon's", async () => {
  const { consumer, provider } = await openMarket();
  const first = await addDaemon(provider, { number: 1, onJob: (job) => (text(job), job.done()) });
  await chat(consumer.apiKey);
  const { stream: _, ...claim } = first.jobs[0]?.claim() ?? ({} as never);
  const second = await addDaemon(provider, { number: 2 });
  second.send(claim);
  expect(await second.next("refused")).toMatchObject({ job: claim.job, reason: "invalid_ticket" });
  first.send({ ...claim, ticket: "bm9uc2Vuc2U" });
  expect(await first.next("refused")).toMatchObject({ job: claim.job, reason: "invalid_ticket" });
});

it("tells the daemon how its claim ended, and puts the receipt into the log", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider, { onJob: (job) => (text(job), job.done({}, { fence: 1 })) });
  await chat(consumer.apiKey);
  const { job, receipt } = await daemon.next("settled");
  expect(receipt?.outcome).toBe("unverified");
  // The consumer reads it from its account, the provider from the log.
  const logged = async () => (await call(`/api/v1/receipts/${job}`, withKey(provider.apiKey))).status;
  await vi.waitFor(async () => expect(await logged()).toBe(200), { timeout: 20_000, interval: 100 });
});
