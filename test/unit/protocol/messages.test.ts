import { describe, expect, it } from "vitest";
import { base64url } from "../../../core/keys.ts";
import { LIMITS } from "../../../core/limits.ts";
import { DAEMON_MESSAGE_TYPES, daemonMessage, relayMessage } from "../../../protocol/daemon/messages.ts";
import { bodyOf, keyOf } from "../../support/receipts.ts";

const signature = base64url(new Uint8Array(64));
const { job, digest } = bodyOf();
const model = {
  id: "maker/eight",
  quantization: "q4",
  context: 8_192,
  slots: 4,
  tokens_per_second: 51.5,
  loaded: true,
  features: ["seed", "a_feature_of_tomorrow"],
};
const offer = {
  type: "offer",
  engine: "ollama 0.13",
  hardware: { tier: "desktop", gpu: "RTX 4090", vram_mb: 24_576, watts: 320 },
  usd_per_kwh: 0.31,
  accepts: "any",
  models: [model],
};
const done = {
  type: "done",
  stream: 7,
  ticket: "ticket",
  job,
  fence: 1,
  model: "maker/eight",
  usage: { prompt: 10, completion: 20 },
  finish_reason: "stop",
  digest,
  signature,
};

describe("a daemon's message is accepted:", () => {
  it.each([
    ["hello", { type: "hello", version: 1, daemon: keyOf("daemon").id }],
    ["hello that resumes", { type: "hello", version: 1, daemon: keyOf("daemon").id, resume: "session" }],
    ["hello of another version, which is answered by name", { type: "hello", version: 2, daemon: keyOf("daemon").id }],
    ["hello with a field of tomorrow", { type: "hello", version: 1, daemon: keyOf("daemon").id, later: true }],
    ["proof", { type: "proof", signature }],
    ["offer", offer],
    ["offer of nothing", { ...offer, models: [], hardware: { ...offer.hardware, gpu: null, vram_mb: null } }],
    [
      "offer with everything",
      {
        ...offer,
        prices: { margin: 1.2, listed: { "maker/eight": 0.1 } },
        networks: ["n"],
        schedule: "sat-sun in UTC",
        on_ac_power: true,
        withdrawn_by: ["schedule", "a_gate_of_tomorrow"],
      },
    ],
    ["accept", { type: "accept", stream: 0xffffffff }],
    ["decline", { type: "decline", stream: 0, reason: "busy" }],
    ["done", done],
    ["done again, after its stream", { ...done, stream: undefined }],
    ["done with a reason for each choice", { ...done, finish_reasons: ["stop", "length"] }],
    ["failed", { type: "failed", stream: 1, code: "engine_error", message: "" }],
    [
      "failed for a job whose connection was lost",
      { type: "failed", job, ticket: "ticket", code: "connection_lost", message: "" },
    ],
    ["status", { type: "status", load: 0.5, thermal: "warm", queue: 2 }],
    ["drain", { type: "drain" }],
  ])("%s", (_, message) => {
    expect(daemonMessage.safeParse(message)).toMatchObject({ success: true });
  });
});

describe("a daemon's message is refused, with the field that is wrong:", () => {
  it.each([
    ["hello with a number for a key", { type: "hello", version: 1, daemon: 5 }, "daemon"],
    ["hello with a key in hex", { type: "hello", version: 1, daemon: "0".repeat(40) }, "daemon"],
    ["hello without a version", { type: "hello", daemon: keyOf("daemon").id }, "version"],
    ["proof with padding", { type: "proof", signature: `${signature}==` }, "signature"],
    [
      "offer of too many models",
      { ...offer, models: Array.from({ length: LIMITS.daemonModels + 1 }, () => model) },
      "models",
    ],
    ["offer of no slots", { ...offer, models: [{ ...model, slots: 0 }] }, "models.0.slots"],
    ["offer of too many slots", { ...offer, models: [{ ...model, slots: LIMITS.daemonSlots + 1 }] }, "models.0.slots"],
    ["offer without speed", { ...offer, models: [{ ...model, tokens_per_second: 0 }] }, "models.0.tokens_per_second"],
    [
      "offer of endless speed",
      { ...offer, models: [{ ...model, tokens_per_second: 1e300 }] },
      "models.0.tokens_per_second",
    ],
    [
      "offer of an unknown quantization",
      { ...offer, models: [{ ...model, quantization: "q5" }] },
      "models.0.quantization",
    ],
    ["offer of free electricity in reverse", { ...offer, usd_per_kwh: -1 }, "usd_per_kwh"],
    ["offer of an unknown tier", { ...offer, hardware: { ...offer.hardware, tier: "toaster" } }, "hardware.tier"],
    ["offer for other money", { ...offer, accepts: "gold" }, "accepts"],
    ["accept of no stream", { type: "accept" }, "stream"],
    ["accept of a stream past u32", { type: "accept", stream: 2 ** 32 }, "stream"],
    ["decline without a reason", { type: "decline", stream: 1, reason: "" }, "reason"],
    ["done of another job's form", { ...done, job: "job" }, "job"],
    ["done with half tokens", { ...done, usage: { prompt: 1, completion: 0.5 } }, "usage.completion"],
    ["done with negative tokens", { ...done, usage: { prompt: -1, completion: 0 } }, "usage.prompt"],
    ["done with more kinds of usage", { ...done, usage: { prompt: 1, completion: 1, thoughts: 1 } }, "usage"],
    [
      "done with a digest in capitals",
      { ...done, digest: { ...digest, response: "AB".repeat(32) } },
      "digest.response",
    ],
    ["done with a short salt", { ...done, digest: { ...digest, salt: "ab" } }, "digest.salt"],
    ["done for an unknown reason", { ...done, finish_reason: "bored" }, "finish_reason"],
    [
      "done with too many choices",
      { ...done, finish_reasons: Array.from({ length: LIMITS.choices + 1 }, () => "stop") },
      "finish_reasons",
    ],
    ["failed of nothing", { type: "failed", job, code: "connection_lost", message: "" }, "stream"],
    ["done with an endless ticket", { ...done, ticket: "x".repeat(4_097) }, "ticket"],
    ["failed with an endless message", { type: "failed", stream: 1, code: "x", message: "x".repeat(513) }, "message"],
    ["status past its whole", { type: "status", load: 1.1, queue: 0 }, "load"],
    ["an unknown type", { type: "sing" }, "type"],
    ["no type", {}, "type"],
    ["no object", "drain", ""],
  ])("%s", (_, message, path) => {
    const result = daemonMessage.safeParse(message);
    expect(result.error?.issues[0]?.path.join(".")).toBe(path);
  });
});

it("the relay knows the types that a daemon may send", () => {
  expect([...DAEMON_MESSAGE_TYPES].sort()).toEqual(
    ["accept", "decline", "done", "drain", "failed", "hello", "offer", "proof", "status"].sort(),
  );
});

describe("a relay's message", () => {
  const work = {
    type: "job",
    stream: 1,
    job,
    fence: 1,
    lane: "public",
    model: "m",
    ticket: "t",
    salt: digest.salt,
    request_digest: digest.request,
    deadline: 5,
    request: { messages: [] },
  };
  it.each([
    ["challenge", { type: "challenge", nonce: "n", origin: "o", expires: 1 }],
    ["job", work],
    ["job of its own account", { ...work, lane: null }],
    ["settled", { type: "settled", job, receipt: { seq: 1, outcome: "completed" } }],
    ["settled without a receipt", { type: "settled", job, receipt: null }],
    ["error", { type: "error", code: "unexpected_message", message: "…" }],
  ])("%s is accepted", (_, message) => {
    expect(relayMessage.safeParse(message)).toMatchObject({ success: true });
  });

  it.each([
    ["a job without a salt", { ...work, salt: "" }, "salt"],
    ["a job of an unknown lane", { ...work, lane: "fast" }, "lane"],
    ["a challenge without an end", { type: "challenge", nonce: "n", origin: "o" }, "expires"],
  ])("%s is refused", (_, message, path) => {
    expect(relayMessage.safeParse(message).error?.issues[0]?.path.join(".")).toBe(path);
  });
});
