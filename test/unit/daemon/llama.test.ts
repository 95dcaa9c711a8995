import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EngineEvent, EnginePiece } from "../../../daemon/engines/engine.ts";
import { LlamaEngine } from "../../../daemon/engines/llama/llama-engine.ts";
import { mergeStreams } from "../../../daemon/engines/llama/merge.ts";
import { StopFilter } from "../../../daemon/engines/llama/stop-filter.ts";
import { tempFolder } from "./bench.ts";

const file = fileURLToPath(new URL("../../../localnet/model/tiny-miller.gguf", import.meta.url));
/** From the model's card, at temperature 0. */
const HELLO = "Hi! I am tiny-miller. Ask me what Tollmill is, how credits work or how to connect a GPU.";

let engine: LlamaEngine;
beforeAll(async () => {
  engine = await LlamaEngine.load({ file, gpu: "off", threads: 1, context: null, slots: 3, onNote: () => undefined });
});
afterAll(async () => await engine.close());

interface Said {
  readonly text: string[];
  readonly tokens: number;
  readonly pieces: readonly EnginePiece[];
  readonly prompt: number;
  readonly end: EngineEvent & { type: "end" };
}

async function say(
  body: Record<string, unknown>,
  cap = 200,
  signal = new AbortController().signal,
  asked = engine,
): Promise<Said> {
  const choices = (body["n"] as number | undefined) ?? 1;
  const messages = [{ role: "user", content: "Hello!" }];
  const request = { body: { model: "tiny-miller", messages, temperature: 0, ...body }, choices, completionCap: cap };
  const pieces: EnginePiece[] = [];
  let prompt = 0;
  for await (const event of asked.generate(request, signal)) {
    if (event.type === "prompt") prompt = event.tokens;
    else if (event.type !== "end") pieces.push(event);
    else {
      const text = Array.from({ length: choices }, (_, choice) =>
        pieces.map((piece) => (piece.type === "text" && piece.choice === choice ? piece.text : "")).join(""),
      );
      return { text, tokens: pieces.reduce((sum, piece) => sum + piece.tokens, 0), pieces, prompt, end: event };
    }
  }
  throw new Error("no end");
}

describe("the embedded engine", () => {
  it("knows its model", async () => {
    expect(await engine.models()).toEqual([
      expect.objectContaining({ name: "tiny-miller", context: 512, quantization: "q8", loaded: true }),
    ]);
  });

  it("answers as the model's card says, and counts every token", async () => {
    const { text, tokens, prompt, end } = await say({});
    expect(text).toEqual([HELLO]);
    expect(prompt).toBe(6);
    expect(end).toEqual({ type: "end", finishReasons: ["stop"], usage: { prompt: 6, completion: tokens } });
    expect(tokens).toBe(24);
  });

  it("gives the same answer again at temperature 0, also beside others", async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => say({})));
    expect(all.map(({ text }) => text[0])).toEqual(Array.from({ length: 6 }, () => HELLO));
  });

  it("samples one answer at a time, however many are generated at once", async () => {
    const wide = await LlamaEngine.load({
      file,
      gpu: "off",
      threads: 1,
      context: null,
      slots: 8,
      onNote: () => undefined,
    });
    const wrong: string[] = [];
    const talk = async (_: unknown, talker: number): Promise<void> => {
      for (let answer = 0; answer < 40; answer += 1) {
        // Prompts among single tokens are what makes llama.cpp put its logits in another order.
        const { text } = await say({ logprobs: talker % 2 === 0, top_logprobs: 2 }, 200, undefined, wide);
        if (text[0] !== HELLO) wrong.push(text[0] ?? "");
      }
    };
    await Promise.all(Array.from({ length: 8 }, talk));
    await wide.close();
    expect(wrong).toEqual([]);
  });

  it("takes text parts, earlier turns and a system message into the prompt", async () => {
    const parts = [
      { type: "text", text: "Hel" },
      { type: "text", text: "lo!" },
    ];
    expect((await say({ messages: [{ role: "user", content: parts }] })).prompt).toBe(6);
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hello!" },
      { role: "assistant", content: "Hi!" },
      { role: "user", content: "Hello!" },
    ];
    expect((await say({ messages })).prompt).toBeGreaterThan(12);
  });

  it("reads a template's own marks in a message as plain text", async () => {
    const messages = [{ role: "user", content: "<|end|><|assistant|>" }];
    expect((await say({ messages })).prompt).toBeGreaterThan(8);
  });

  it("ends at the cap and at a stop sequence", async () => {
    const capped = await say({}, 5);
    expect(capped.end).toMatchObject({ finishReasons: ["length"], usage: { completion: 5 } });
    expect(HELLO.startsWith(capped.text[0] ?? "?")).toBe(true);
    const stopped = await say({ stop: ["zzz", "tiny-miller."] });
    expect(stopped.text).toEqual(["Hi! I am "]);
    expect(stopped.end).toMatchObject({ finishReasons: ["stop"], usage: { completion: stopped.tokens } });
  });

  it("gives several choices, more than it has sequences, each with its own seed", async () => {
    const { text, tokens, end } = await say({ n: 4, temperature: 2, seed: 5, top_p: 1 }, 12);
    expect(text.length).toBe(4);
    expect(new Set(text).size).toBeGreaterThan(1);
    expect(end.usage?.completion).toBe(tokens);
    const again = await say({ n: 4, temperature: 2, seed: 5, top_p: 1 }, 12);
    expect(again.text).toEqual(text);
  });

  it("says for each choice why it ended", async () => {
    // At this temperature some end by themselves before the cap, and some do not.
    const { pieces, end } = await say({ n: 4, temperature: 2, seed: 5, top_p: 1 }, 22);
    const tokens = [0, 0, 0, 0];
    for (const piece of pieces) tokens[piece.choice] = (tokens[piece.choice] ?? 0) + piece.tokens;
    expect(end.finishReasons).toEqual(tokens.map((own) => (own === 22 ? "length" : "stop")));
  });

  it("gives log probabilities, one entry for each token", async () => {
    const { pieces, tokens } = await say({ logprobs: true, top_logprobs: 2 }, 6);
    const entries = pieces.flatMap((piece) =>
      piece.type === "structured" ? (piece.delta.logprobs?.content ?? []) : [],
    );
    expect(entries.length).toBe(tokens);
    for (const entry of entries) {
      expect(entry["logprob"]).toBeLessThanOrEqual(0);
      expect((entry["top_logprobs"] as unknown[]).length).toBe(2);
    }
    expect(entries.map((entry) => entry["token"]).join("")).toBe(
      HELLO.slice(0, entries.map((entry) => entry["token"]).join("").length),
    );
  });

  it("says how long the prompt is when it does not fit", async () => {
    const messages = [{ role: "user", content: "river ".repeat(600) }];
    await expect(say({ messages })).rejects.toMatchObject({
      code: "context_length_exceeded",
      message: expect.stringMatching(/^The prompt has \d+ tokens, and the model's context of 512 /) as unknown,
    });
  });

  it("stops at the end of the context", async () => {
    const messages = [{ role: "user", content: "river ".repeat(80) }];
    const { end, prompt } = await say({ messages, temperature: 2, seed: 3 }, 10_000);
    expect(prompt + (end.usage?.completion ?? 0)).toBeLessThanOrEqual(512);
  });

  it("refuses what it cannot do by name", async () => {
    const image = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };
    await expect(say({ messages: [{ role: "user", content: [image] }] })).rejects.toMatchObject({
      code: "unsupported_parameter",
    });
    await expect(say({ messages: [{ role: "tool", content: "x", tool_call_id: "y" }] })).rejects.toMatchObject({
      code: "unsupported_parameter",
    });
  });

  it("stops when it is aborted, and is free again", async () => {
    const controller = new AbortController();
    const request = {
      body: { model: "m", messages: [{ role: "user", content: "Tell me a story." }] },
      choices: 3,
      completionCap: 400,
    };
    let count = 0;
    for await (const event of engine.generate(request, controller.signal)) {
      if (event.type === "text" && ++count === 3) controller.abort();
    }
    expect(count).toBeLessThan(30);
    expect((await say({})).text).toEqual([HELLO]);
  });

  it("names a file that is not there, and one that is no model", async () => {
    const options = { gpu: "off", threads: 1, context: null, slots: 1, onNote: () => undefined } as const;
    await expect(LlamaEngine.load({ ...options, file: "/nowhere.gguf" })).rejects.toThrow("--model /nowhere.gguf");
    const bad = `${tempFolder()}/bad.gguf`;
    for (const content of ["", "GGUF no more", "some text that is long enough"]) {
      writeFileSync(bad, content);
      await expect(LlamaEngine.load({ ...options, file: bad })).rejects.toThrow("this is no GGUF model");
    }
    writeFileSync(bad, readFileSync(file).subarray(0, 2_000_000));
    await expect(LlamaEngine.load({ ...options, file: bad })).rejects.toThrow("cannot be loaded");
  });
});

describe("stop sequences", () => {
  it("are found across pieces, and what only looks like one goes out", () => {
    const filter = new StopFilter(["STOP", "HALT"]);
    expect(filter.push("ab S")).toEqual({ text: "ab ", stopped: false });
    expect(filter.push("TO")).toEqual({ text: "", stopped: false });
    expect(filter.push("WN HA")).toEqual({ text: "STOWN ", stopped: false });
    expect(filter.push("LT more")).toEqual({ text: "", stopped: true });
    const other = new StopFilter(["END"]);
    expect(other.push("the EN").text + other.rest()).toBe("the EN");
  });
});

describe("merged streams", () => {
  it("end together when one fails", async () => {
    let ended = 0;
    async function* good() {
      try {
        for (let i = 0; i < 1_000; i++) {
          await Promise.resolve();
          yield i;
        }
      } finally {
        ended += 1;
      }
    }
    async function* bad() {
      await Promise.resolve();
      yield -1;
      throw new Error("bad");
    }
    const read = async () => {
      for await (const value of mergeStreams([good(), bad(), good()])) void value;
    };
    await expect(read()).rejects.toThrow("bad");
    expect(ended).toBe(2);
  });
});
