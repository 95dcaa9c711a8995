import { describe, expect, it } from "vitest";
import { EngineError } from "../../../daemon/engines/engine.ts";
import { bench } from "./bench.ts";
import { answer, answerWithUsage, endless, ScriptedEngine, stuckAfter } from "./scripted-engine.ts";
import { claimHolds, textOf, tokensOf, until } from "./scripted-relay.ts";

describe("a job", () => {
  it("is accepted, streamed, and claimed with a signature over exactly what was sent", async () => {
    const { relay, peer, engine } = await bench({ engine: new ScriptedEngine(answer("Hel", "lo ", "there")) });
    const job = relay.job(peer, { temperature: 0, user: "somebody", max_completion_tokens: 40 });
    await relay.expect(peer, "accept");
    const done = await relay.expect(peer, "done");
    expect(textOf(peer.frames)).toBe("Hello there");
    expect(done).toMatchObject({ stream: job.stream, usage: { prompt: 7, completion: 3 }, finish_reason: "stop" });
    expect(done.finish_reasons).toBeUndefined();
    expect(tokensOf(peer.frames)).toBe(3);
    expect(claimHolds(done, job, peer.daemon, peer.frames)).toBe(true);
    // The engine gets what concerns it, and nothing about the consumer.
    expect(engine.requests[0]).toMatchObject({ completionCap: 40, choices: 1 });
    expect(engine.requests[0]?.body).toEqual({
      model: "scripted",
      messages: [{ role: "user", content: "Hello!" }],
      temperature: 0,
      max_completion_tokens: 40,
    });
  });

  it("carries tool calls, log probabilities and several choices, each in the digest", async () => {
    const engine = new ScriptedEngine(async function* () {
      await Promise.resolve();
      yield { type: "text", choice: 1, text: "b", tokens: 1 };
      yield { type: "text", choice: 0, text: "a", tokens: 1 };
      const call = { index: 0, id: "call", type: "function", function: { name: "f", arguments: '{"x"' } } as const;
      yield { type: "structured", choice: 0, delta: { delta: { tool_calls: [call] } }, tokens: 1 };
      const more = { index: 0, function: { arguments: ":1}" } };
      yield { type: "structured", choice: 0, delta: { delta: { tool_calls: [more] } }, tokens: 1 };
      yield { type: "structured", choice: 0, delta: { logprobs: { content: [{ token: "a" }] } }, tokens: 0 };
      yield { type: "end", finishReasons: ["tool_calls", "length"], usage: { prompt: 9, completion: 4 } };
    });
    const { relay, peer } = await bench({ engine });
    const job = relay.job(peer, { n: 2 });
    const done = await relay.expect(peer, "done");
    expect([textOf(peer.frames, 0), textOf(peer.frames, 1)]).toEqual(["a", "b"]);
    const structured = peer.frames
      .filter(({ kind }) => kind === 1)
      .map(({ payload }) => JSON.parse(Buffer.from(payload).toString()));
    expect(structured).toEqual([
      {
        delta: {
          tool_calls: [{ index: 0, id: "call", type: "function", function: { name: "f", arguments: '{"x":1}' } }],
        },
        logprobs: { content: [{ token: "a" }] },
      },
    ]);
    expect(done).toMatchObject({ finish_reason: "tool_calls", usage: { completion: 4 } });
    expect(done.finish_reasons).toEqual(["tool_calls", "length"]);
    expect(claimHolds(done, job, peer.daemon, peer.frames, 2)).toBe(true);
  });

  it("claims the engine's own count: the frames sum to it", async () => {
    const engine = new ScriptedEngine(answerWithUsage({ prompt: 7, completion: 5 }, "a", "b", "c"));
    engine.countsExactly = false;
    const { relay, peer } = await bench({ engine });
    relay.job(peer);
    const done = await relay.expect(peer, "done");
    expect(done.usage.completion).toBe(5);
    expect(tokensOf(peer.frames)).toBe(5);
    expect(peer.frames.every(({ payload }) => payload.length > 0)).toBe(true);
  });

  it("never claims more than the engine says there were", async () => {
    const engine = new ScriptedEngine(answerWithUsage({ prompt: 7, completion: 1 }, "a", "b", "c"));
    engine.countsExactly = false;
    const { relay, peer } = await bench({ engine });
    relay.job(peer);
    expect((await relay.expect(peer, "done")).usage.completion).toBe(1);
  });

  it("is declined when all slots are taken, for a model that is not offered, and while draining", async () => {
    const { relay, peer, worker } = await bench({ engine: new ScriptedEngine(stuckAfter("a")), slots: 1 });
    relay.job(peer, {}, { model: "unheard-of" });
    expect((await relay.expect(peer, "decline")).reason).toBe("unknown_model");
    const first = relay.job(peer);
    await relay.expect(peer, "accept");
    relay.job(peer);
    expect((await relay.expect(peer, "decline")).reason).toBe("busy");
    void worker.drain();
    await relay.expect(peer, "drain");
    relay.job(peer);
    expect((await relay.expect(peer, "decline")).reason).toBe("draining");
    relay.send(peer, { type: "cancel", stream: first.stream });
    await relay.expect(peer, "done");
  });

  it("fails with a code of the daemon when the engine fails, in words that are not the engine's", async () => {
    const engine = new ScriptedEngine(async function* () {
      await Promise.resolve();
      yield { type: "prompt", tokens: 3 } as const;
      throw new EngineError("context_length_exceeded", "The prompt has too many tokens.");
    });
    const { relay, peer } = await bench({ engine });
    relay.job(peer);
    expect(await relay.expect(peer, "failed")).toMatchObject({ code: "context_length_exceeded" });
    engine.script = async function* () {
      await Promise.resolve();
      yield { type: "prompt", tokens: 3 } as const;
      throw new Error("I was told: my secret prompt");
    };
    relay.job(peer);
    const failed = await relay.expect(peer, "failed");
    expect(failed.code).toBe("engine_error");
    expect(failed.message).not.toContain("secret");
    engine.script = async function* () {
      await Promise.resolve();
      yield { type: "text", choice: 5, text: "a choice that nobody asked for", tokens: 1 } as const;
    };
    relay.job(peer);
    expect((await relay.expect(peer, "failed")).code).toBe("engine_error");
    relay.job(peer, { messages: "not a list" });
    expect((await relay.expect(peer, "failed")).code).toBe("invalid_request");
  });

  it("stops an engine that does not keep to the cap", async () => {
    const { relay, peer } = await bench({ engine: new ScriptedEngine(endless(0, "x")) });
    const job = relay.job(peer, { max_completion_tokens: 5 });
    const done = await relay.expect(peer, "done");
    expect(done).toMatchObject({ finish_reason: "length", usage: { completion: 5 } });
    expect(claimHolds(done, job, peer.daemon, peer.frames)).toBe(true);
  });
});

describe("cancelling", () => {
  it("aborts the engine and claims what was sent, and no more", async () => {
    const engine = new ScriptedEngine(stuckAfter("first ", "second"));
    const { relay, peer } = await bench({ engine, parameters: { flush_first_ms: 10_000 } });
    const job = relay.job(peer);
    await until(() => peer.frames[0]);
    relay.send(peer, { type: "cancel", stream: job.stream });
    const done = await relay.expect(peer, "done");
    expect(done).toMatchObject({ finish_reason: "cancelled", usage: { prompt: 7, completion: 1 } });
    expect(textOf(peer.frames)).toBe("first ");
    expect(claimHolds(done, job, peer.daemon, peer.frames)).toBe(true);
    expect(engine.aborted).toBe(1);
  });

  it("does not wait for an engine that ignores it", async () => {
    const engine = new ScriptedEngine(async function* () {
      await new Promise(() => undefined);
      yield { type: "prompt", tokens: 1 };
    });
    const { relay, peer } = await bench({ engine });
    const job = relay.job(peer);
    await relay.expect(peer, "accept");
    relay.send(peer, { type: "cancel", stream: job.stream });
    const done = await relay.expect(peer, "done");
    // "Hello!" has six bytes.
    expect(done).toMatchObject({ finish_reason: "cancelled", usage: { prompt: 2, completion: 0 } });
    expect(claimHolds(done, job, peer.daemon, [])).toBe(true);
  });

  it.each(["cancelled", "length"] as const)(
    "claims an estimate of a prompt whose tokens the engine had not told yet, at an end by %s",
    async (reason) => {
      const engine = new ScriptedEngine(async function* (_request, signal) {
        yield { type: "text", choice: 0, text: "a", tokens: 1 };
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      });
      const { relay, peer } = await bench({ engine });
      const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
      const messages = [
        { role: "system", content: "é".repeat(100) },
        { role: "user", content: [{ type: "text", text: "x".repeat(40) }] },
        {
          role: "user",
          content: [{ type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(900)}` } }],
        },
        { role: "assistant", tool_calls: [call] },
      ];
      const bytes = 200 + 40 + JSON.stringify([call]).length;
      const deadline = Date.now() + (reason === "length" ? 100 : 60_000);
      const job = relay.job(peer, { messages, n: 2 }, { deadline });
      await until(() => peer.frames[0]);
      if (reason === "cancelled") relay.send(peer, { type: "cancel", stream: job.stream });
      const done = await relay.expect(peer, "done");
      expect(done.usage).toEqual({ prompt: Math.ceil(bytes / 4), completion: 1 });
      expect(done).toMatchObject({ finish_reason: reason, finish_reasons: [reason, reason] });
      expect(claimHolds(done, job, peer.daemon, peer.frames, 2)).toBe(true);
    },
  );

  it("at the deadline sends what is there and ends with length", async () => {
    const { relay, peer } = await bench({
      engine: new ScriptedEngine(stuckAfter("one ", "two ", "three")),
      parameters: { flush_first_ms: 10_000 },
    });
    const job = relay.job(peer, {}, { deadline: Date.now() + 60 });
    const done = await relay.expect(peer, "done");
    expect(done).toMatchObject({ finish_reason: "length", usage: { completion: 3 } });
    expect(textOf(peer.frames)).toBe("one two three");
    expect(claimHolds(done, job, peer.daemon, peer.frames)).toBe(true);
  });
});

describe("flow control", () => {
  it("stops reading the engine while paused, and loses nothing", async () => {
    const engine = new ScriptedEngine(endless(1));
    const { relay, peer } = await bench({ engine, parameters: { flush_first_ms: 5 } });
    const job = relay.job(peer, { max_completion_tokens: 100_000 });
    await until(() => peer.frames.length > 2);
    relay.send(peer, { type: "pause", stream: job.stream });
    await new Promise((resolve) => setTimeout(resolve, 40));
    const { given } = engine;
    const { length } = peer.frames;
    await new Promise((resolve) => setTimeout(resolve, 60));
    // One piece may have been on its way.
    expect(engine.given - given).toBeLessThanOrEqual(1);
    expect(peer.frames.length).toBe(length);
    relay.send(peer, { type: "resume", stream: job.stream });
    await until(() => peer.frames.length > length + 2);
    relay.send(peer, { type: "cancel", stream: job.stream });
    const done = await relay.expect(peer, "done");
    expect(done.usage.completion).toBe(tokensOf(peer.frames));
    expect(claimHolds(done, job, peer.daemon, peer.frames)).toBe(true);
  });

  it("can be cancelled while paused", async () => {
    const { relay, peer } = await bench({ engine: new ScriptedEngine(endless(1)) });
    const job = relay.job(peer);
    await until(() => peer.frames[0]);
    relay.send(peer, { type: "pause", stream: job.stream });
    relay.send(peer, { type: "cancel", stream: job.stream });
    const done = await relay.expect(peer, "done");
    const { length } = peer.frames;
    relay.send(peer, { type: "resume", stream: job.stream });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(peer.frames.length).toBe(length);
    expect(done.usage.completion).toBe(tokensOf(peer.frames));
  });
});

describe("the log", () => {
  it("has neither prompts nor completions in it", async () => {
    const marker = "xyzzy-marker";
    const engine = new ScriptedEngine(answer(`${marker} answer`));
    const { relay, peer, lines } = await bench({ engine });
    relay.job(peer, { messages: [{ role: "user", content: marker }] });
    await relay.expect(peer, "done");
    engine.script = async function* () {
      await Promise.resolve();
      yield { type: "text", choice: 0, text: marker, tokens: 1 } as const;
      throw new Error(marker);
    };
    relay.job(peer, { messages: [{ role: "user", content: marker }] });
    await relay.expect(peer, "failed");
    relay.job(peer, { messages: [{ role: marker, content: marker }], [marker]: marker });
    await relay.expect(peer, "failed");
    peer.socket.send(JSON.stringify({ type: "job", stream: 5, request: marker, ticket: { [marker]: marker } }));
    await relay.expect(peer, "decline");
    await until(() => lines.some((line) => line.includes("relay_message_ignored")));
    expect(lines.length).toBeGreaterThan(4);
    expect(lines.join("")).not.toContain(marker);
  });
});
