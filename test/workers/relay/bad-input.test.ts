import { expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { encodeFrame } from "../../../protocol/daemon/frames.ts";
import { offerOf, type ScriptedDaemon } from "../../support/scripted-daemon.ts";
import { addDaemon, chat, openMarket, until } from "../job/network.ts";

const text = (value: string) => (daemon: ScriptedDaemon) => daemon.socket.send(value);
const bytes = (value: Uint8Array<ArrayBuffer>) => (daemon: ScriptedDaemon) => daemon.socket.send(value);
const message = (value: object) => text(JSON.stringify(value));
const [model] = offerOf("test-model").models;

/** What is sent, and the code and a word of the answer. */
const BAD: [string, (daemon: ScriptedDaemon) => void, string, string][] = [
  ["text that is no JSON", text("{"), "invalid_json", "JSON"],
  ["JSON that is no object", text("7"), "unexpected_message", "type"],
  ["an object without a type", message({ stream: 1 }), "unexpected_message", "type"],
  ["an accept without its stream", message({ type: "accept" }), "invalid_request", "stream"],
  ["a stream that is no number", message({ type: "accept", stream: "1" }), "invalid_request", "stream"],
  [
    "an offer with a wrong slot count",
    message({ ...offerOf("m"), models: [{ ...model, slots: 0 }] }),
    "invalid_request",
    "models[0].slots",
  ],
  ["a load above 1", message({ type: "status", load: 2, queue: 0 }), "invalid_request", "load"],
  [
    "a proof that nobody asked for",
    message({ type: "proof", signature: "A".repeat(86) }),
    "unexpected_message",
    "hello",
  ],
  ["text beyond the bound", text(`"${"x".repeat(LIMITS.daemonTextBytes)}"`), "request_too_large", "bytes"],
  ["a frame without a whole head", bytes(new Uint8Array(7)), "malformed_frame", "7"],
  ["a frame of an unknown kind", bytes(Uint8Array.of(0, 0, 0, 1, 9, 0, 0, 1, 65)), "malformed_frame", "9"],
  ["a frame beyond the bound", bytes(new Uint8Array(LIMITS.daemonFrameBytes + 1)), "malformed_frame", "most"],
];

it.each(BAD)("names what is wrong with %s, and goes on serving", async (_, send, code, word) => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  send(daemon);
  const error = await daemon.next("error");
  expect(error.code).toBe(code);
  expect(error.message).toContain(word);
  expect((await chat(consumer.apiKey)).status).toBe(200);
});

it("names the fix once, and repeats nothing of what was sent", async () => {
  const { provider } = await openMarket();
  const daemon = await addDaemon(provider);
  daemon.send({ type: "decline", stream: 1, reason: { secret: "a prompt" } });
  const { message: said } = await daemon.next("error");
  expect(said).not.toContain("a prompt");
  expect(said.match(/Correct/g)).toHaveLength(1);
});

it("ignores types that it does not know, so that newer daemons can connect", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  daemon.send({ type: "future", anything: true });
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(daemon.received.filter(({ type }) => type === "error")).toEqual([]);
});

it("tells a daemon to stop a stream that it does not know", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  const payload = new Uint8Array([65]);
  daemon.socket.send(encodeFrame({ stream: 12_345, kind: 0, choice: 0, tokens: 1, payload }));
  expect(await daemon.next("cancel")).toMatchObject({ stream: 12_345 });
  daemon.send({ type: "accept", stream: 12_345 });
  daemon.send({ type: "decline", stream: 12_345, reason: "busy" });
  daemon.send({ type: "failed", stream: 12_345, code: "engine_error", message: "" });
  expect((await chat(consumer.apiKey)).status).toBe(200);
});

it.each([
  ["plain", "x"],
  ["wide", "語"],
])("refuses an offer that its socket cannot keep, in %s text, and keeps the one before", async (_, letter) => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  const features = Array.from({ length: LIMITS.daemonFeatures }, (_, index) => letter.repeat(60) + index);
  const models = Array.from({ length: LIMITS.daemonModels }, () => ({ ...model, features }));
  // Only what the catalog has is kept, so the models have to be known.
  daemon.send({ ...offerOf("test-model"), models });
  const error = await daemon.next("error");
  expect(error).toMatchObject({ code: "request_too_large" });
  expect((await chat(consumer.apiKey)).status).toBe(200);
});

it("says why a model is not served", async () => {
  const { provider } = await openMarket();
  const daemon = await addDaemon(provider);
  daemon.send(offerOf("unheard-of"));
  expect(await daemon.next("message", ({ text: said }) => said.includes("unheard-of"))).toMatchObject({
    level: "warning",
  });
  daemon.send(offerOf("test-model", { quantization: "q4" }));
  expect(await daemon.next("message", ({ text: said }) => said.includes("q4"))).toMatchObject({ level: "warning" });
});

it("closes a connection that sends nothing but rubbish, with a code that says so", async () => {
  const { provider } = await openMarket();
  const daemon = await addDaemon(provider);
  for (let bad = 0; bad <= LIMITS.daemonBadMessages; bad++) daemon.socket.send("{");
  expect(await daemon.closed).toEqual({ code: 1008, reason: "too_many_bad_messages" });
  await until(() => daemon.received.some((said) => said.type === "error" && said.code === "too_many_bad_messages"));
});
