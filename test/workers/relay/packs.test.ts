import { expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { Reports } from "../../../durable-objects/relay/reports.ts";
import { encodeFrame } from "../../../protocol/daemon/frames.ts";
import { encodePack, type PackItem } from "../../../protocol/daemon/packs.ts";
import type { JobReport } from "../../../protocol/internal/pool.ts";
import type { ScriptedDaemon, ScriptedJob } from "../../support/scripted-daemon.ts";
import { addDaemon, balance, chat, connect, eventsOf, onlyReceipt, openMarket, STARTER } from "../job/network.ts";

/** Answers in one pack what other daemons say in many messages. */
function inOnePack(work: (job: ScriptedJob) => void): (job: ScriptedJob) => void {
  return (job) => {
    const items: PackItem[] = [];
    const { socket } = job.daemon;
    const send = vi.spyOn(socket, "send").mockImplementation((item) => void items.push(item));
    work(job);
    send.mockRestore();
    socket.send(encodePack(items));
  };
}

it("takes a whole job from one message, and streams it in its order", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, {
    onJob: inOnePack((job) => {
      job.accept();
      for (const word of ["One", " two", " three"]) job.text(word);
      job.done();
    }),
  });
  const response = await chat(consumer.apiKey, { stream: true });
  const chunks = eventsOf(await response.text()).slice(0, -1);
  const words = chunks.map((text) => (JSON.parse(text) as Chunk).choices[0]?.delta.content ?? "");
  expect(words.join("")).toBe("One two three");
  expect(await onlyReceipt(consumer)).toMatchObject({ outcome: "completed", usage: { completion: 3, relayed: 3 } });
});

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string } }[];
}

it("says what is wrong with one item, and serves the others", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider, {
    onJob: (job) => {
      const bad = JSON.stringify({ type: "accept" });
      const frame = encodeFrame({ stream: job.job.stream, kind: 0, choice: 0, tokens: 1, payload: new Uint8Array() });
      job.daemon.socket.send(encodePack([bad, frame]));
      job.text("fine");
      job.done();
    },
  });
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(await daemon.next("error")).toMatchObject({ code: "invalid_request" });
});

const damaged = encodePack(["{}"]).slice(0, -1);
/** A pack of one text that is no UTF-8. */
const noUtf8 = encodePack(["ab"]);
noUtf8[noUtf8.length - 1] = 0xff;
const BAD: [string, (daemon: ScriptedDaemon) => void, string][] = [
  ["is cut off", ({ socket }) => socket.send(damaged), "cut off"],
  ["holds a pack", ({ socket }) => socket.send(encodePack([encodePack(["{}"])])), "kind 2"],
  ["holds a text that is no UTF-8", ({ socket }) => socket.send(noUtf8), "UTF-8"],
  ["is too large", ({ socket }) => socket.send(encodePack([" ".repeat(LIMITS.daemonPackBytes)])), "at most"],
];
it.each(BAD)("refuses a pack that %s, and goes on serving", async (_, send, word) => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  send(daemon);
  const error = await daemon.next("error");
  expect([error.code, error.message]).toEqual(["malformed_frame", expect.stringContaining(word) as unknown]);
  expect((await chat(consumer.apiKey)).status).toBe(200);
});

it("does no more for a pack than for one item before a key is proven, and stops at a socket that was sent away", async () => {
  const daemon = await connect(1);
  daemon.socket.send(encodePack(Array.from({ length: 5_000 }, () => "{")));
  expect(await daemon.next("error")).toMatchObject({ code: "unexpected_message" });
  const { provider } = await openMarket();
  const welcome = await addDaemon(provider, { number: 2 });
  welcome.socket.send(encodePack(Array.from({ length: 5_000 }, () => "{")));
  expect(await welcome.closed).toMatchObject({ reason: "too_many_bad_messages" });
  const errors = welcome.received.filter(({ type }) => type === "error");
  expect(errors.length).toBeLessThan(LIMITS.daemonBadMessages + 3);
  expect(daemon.received.filter(({ type }) => type === "error")).toHaveLength(1);
});

it("asks for a claim again whose stream has ended, and answers it by its ticket", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider, { onJob: (job) => (job.accept(), job.text("Hi"), job.done()) });
  await chat(consumer.apiKey);
  const [job] = daemon.jobs as [ScriptedJob];
  await daemon.next("settled");
  const { ticket, ...short } = job.claim();
  daemon.send(short);
  expect(await daemon.next("resend")).toEqual({ type: "resend", job: job.job.job });
  const { stream: _, ...late } = short;
  daemon.received.length = 0;
  daemon.send({ ...late, ticket });
  expect(await daemon.next("settled")).toMatchObject({ job: job.job.job });
  const { charge } = await onlyReceipt(consumer);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - charge.millicredits, held: 0 });
});

it("tells of many jobs in one call, of a slot that may be waited for at once, and of what failed again", async () => {
  vi.useFakeTimers();
  const calls: number[] = [];
  const failing = [false, true, false];
  const reports = new Reports((_, batch) => {
    calls.push(batch.length);
    return failing.shift() === true ? Promise.reject(new Error("away")) : Promise.resolve();
  });
  vi.spyOn(console, "error").mockImplementation(() => {});
  const report = {} as JobReport;
  for (let i = 0; i < 5; i++) reports.add("m", report, false);
  expect(calls).toEqual([]);
  await vi.advanceTimersByTimeAsync(LIMITS.reportsMs);
  expect(calls).toEqual([5]);
  reports.add("m", report, false);
  reports.add("m", report, true);
  await vi.advanceTimersByTimeAsync(0);
  expect(calls).toEqual([5, 2]);
  // The second call failed; what it said goes again, with what has come since.
  reports.add("m", report, false);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(calls).toEqual([5, 2, 3]);
  expect(vi.getTimerCount()).toBe(0);
});
