import { describe, expect, it } from "vitest";
import { engineAtUrl, findEngine } from "../../../daemon/engines/detect.ts";
import { EngineError, type EngineEvent } from "../../../daemon/engines/engine.ts";
import { measureSpeed } from "../../../daemon/engines/measure.ts";
import { catalogIdOf, chooseModels, offerModels, quantizationOf } from "../../../daemon/engines/served-models.ts";
import { parseSmi, probeHardware } from "../../../daemon/hardware/probe.ts";
import { chunk, LLAMA_PROPS, OLLAMA, openAiList, serveHttp, serveJson, sse } from "./fake-engine.ts";
import { answer, ScriptedEngine } from "./scripted-engine.ts";

/** What is searched where nothing should be found: a port that nobody listens on. */
const NOWHERE = "http://127.0.0.1:47";

describe("finding an engine", () => {
  it("finds Ollama, with its models' names, contexts and quantizations", async () => {
    const url = await serveJson(OLLAMA);
    const engine = await findEngine((kind) => (kind.name === "Ollama" ? url : NOWHERE));
    expect(engine?.label).toBe(`Ollama 0.12.3 at ${url}`);
    const models = await engine?.models();
    expect(models?.[0]).toMatchObject({ name: "Llama3.1:8b", context: 4_096, quantization: "q4", loaded: true });
  });

  it("finds vLLM", async () => {
    const url = await serveJson({
      "/version": { version: "0.11.0" },
      "/v1/models": openAiList("vllm", "Qwen/Qwen3-8B-AWQ"),
    });
    const engine = await findEngine((kind) => (kind.name === "vLLM" ? url : NOWHERE));
    expect(engine?.label).toContain("vLLM 0.11.0");
    expect(await engine?.models()).toMatchObject([{ name: "Qwen/Qwen3-8B-AWQ", context: 8_192, quantization: "q4" }]);
  });

  it("finds llama.cpp's server, with its slots", async () => {
    const url = await serveJson({ "/props": LLAMA_PROPS, "/v1/models": openAiList("llamacpp", "/models/tiny.gguf") });
    const engine = await findEngine((kind) => (kind.name === "llama.cpp server" ? url : NOWHERE));
    expect(engine?.slots).toBe(3);
    expect(await engine?.models()).toMatchObject([{ name: "tiny", context: 2_048, quantization: "q4" }]);
  });

  it("finds LM Studio", async () => {
    const model = {
      id: "gemma",
      object: "model",
      type: "vlm",
      state: "loaded",
      quantization: "8bit",
      max_context_length: 9_000,
    };
    const url = await serveJson({
      "/api/v0/models": { object: "list", data: [model, { ...model, id: "e", type: "embeddings" }] },
    });
    const engine = await findEngine((kind) => (kind.name === "LM Studio" ? url : NOWHERE));
    expect(await engine?.models()).toMatchObject([{ name: "gemma", context: 9_000, quantization: "q8" }]);
  });

  it("takes no other web server for one", async () => {
    const page = await serveHttp((_request, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end("<h1>hi</h1>"),
    );
    const anyJson = await serveHttp((_request, response) =>
      response
        .writeHead(200, { "content-type": "application/json" })
        .end('{"version":"1.0","object":"list","data":[]}'),
    );
    const redirect = await serveHttp((_request, response) => response.writeHead(302, { location: "/elsewhere" }).end());
    for (const url of [page, anyJson, redirect, NOWHERE]) expect(await findEngine(() => url)).toBe(null);
    for (const url of [page, redirect, NOWHERE]) {
      await expect(engineAtUrl(url, null)).rejects.toThrow(/is no engine.*correct --engine/);
    }
  });

  it("takes any OpenAI-compatible URL that is named, with or without /v1, and gives it its key", async () => {
    const url = await serveHttp((request, response) => {
      if (request.headers.authorization !== "Bearer secret" || request.url !== "/v1/models")
        return response.writeHead(401).end();
      return response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify(openAiList("me", "mine")));
    });
    const engine = await engineAtUrl(`${url}/v1/`, "secret");
    expect((await engine.models()).map(({ name }) => name)).toEqual(["mine"]);
    await expect(engineAtUrl(url, null)).rejects.toThrow("--engine-key");
  });
});

/** A request to an engine behind a URL that streams what the test wrote. */
async function ask(
  stream: string | readonly Uint8Array[],
  options: { vllm?: boolean; llamaServer?: boolean; choices?: number; status?: number; type?: string } = {},
) {
  const bodies: Record<string, unknown>[] = [];
  const list = openAiList(options.vllm === true ? "vllm" : "me", "m");
  const url = await serveHttp((request, response, body) => {
    if (request.url === "/v1/models") {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(list));
    } else if (request.url === "/props" && options.llamaServer === true) {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(LLAMA_PROPS));
    } else if (request.url === "/v1/chat/completions") {
      bodies.push(JSON.parse(body) as Record<string, unknown>);
      response.writeHead(options.status ?? 200, { "content-type": options.type ?? "text/event-stream" });
      for (const part of typeof stream === "string" ? [stream] : stream) response.write(part);
      response.end();
    } else response.writeHead(404).end();
  });
  const engine = await engineAtUrl(url, null);
  const request = { body: { model: "m", max_completion_tokens: 50 }, choices: options.choices ?? 1, completionCap: 50 };
  const events: EngineEvent[] = [];
  const run = async () => {
    for await (const event of engine.generate(request, new AbortController().signal)) events.push(event);
    return events;
  };
  return { run, bodies };
}

const FINISH = chunk({}, {}, { finish_reason: "stop" });
const usage = (prompt: number, completion: number) => ({
  usage: { prompt_tokens: prompt, completion_tokens: completion },
});

describe("an OpenAI-compatible engine", () => {
  it("streams, and asks for usage and for a cap under both names", async () => {
    const { run, bodies } = await ask(
      sse(
        chunk({ role: "assistant", content: "" }),
        chunk({ content: "He" }),
        chunk({ content: "y" }),
        FINISH,
        { choices: [], ...usage(5, 3) },
        "[DONE]",
      ),
    );
    expect(await run()).toEqual([
      { type: "text", choice: 0, text: "He", tokens: 1 },
      { type: "text", choice: 0, text: "y", tokens: 1 },
      { type: "prompt", tokens: 5 },
      { type: "end", finishReasons: ["stop"], usage: { prompt: 5, completion: 3 } },
    ]);
    expect(bodies[0]).toEqual({
      model: "m",
      max_completion_tokens: 50,
      max_tokens: 50,
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it("reads characters that are split between packets", async () => {
    const bytes = new TextEncoder().encode(sse(chunk({ content: "a😀b" }), FINISH, "[DONE]"));
    const { run } = await ask(Array.from(bytes, (byte) => Uint8Array.of(byte)));
    expect((await run())[0]).toEqual({ type: "text", choice: 0, text: "a😀b", tokens: 1 });
  });

  it("counts by the running usage where the engine gives it", async () => {
    const { run, bodies } = await ask(
      sse(
        chunk({ content: "" }, usage(9, 0)),
        chunk({ content: "abc" }, usage(9, 3)),
        chunk({ content: "d" }, usage(9, 4)),
        chunk({}, usage(9, 5), { finish_reason: "length" }),
        "[DONE]",
      ),
      { vllm: true },
    );
    const events = await run();
    expect(events.flatMap((event) => (event.type === "text" ? [event.tokens] : []))).toEqual([3, 1, 1]);
    expect(events.at(0)).toEqual({ type: "prompt", tokens: 9 });
    expect(events.at(-1)).toEqual({ type: "end", finishReasons: ["length"], usage: { prompt: 9, completion: 5 } });
    expect(bodies[0]?.["stream_options"]).toEqual({ include_usage: true, continuous_usage_stats: true });
  });

  it("learns the prompt's tokens from llama.cpp's timings before the answer's first piece", async () => {
    const { run, bodies } = await ask(
      sse(
        chunk({ content: "a" }, { timings: { cache_n: 30, prompt_n: 4, predicted_n: 1, prompt_ms: 1.5 } }),
        chunk({ content: "b" }, { timings: { cache_n: 30, prompt_n: 4, predicted_n: 2, prompt_ms: 1.5 } }),
        FINISH,
        { choices: [], ...usage(34, 2) },
        "[DONE]",
      ),
      { llamaServer: true },
    );
    expect(await run()).toEqual([
      { type: "prompt", tokens: 34 },
      { type: "text", choice: 0, text: "a", tokens: 1 },
      { type: "text", choice: 0, text: "b", tokens: 1 },
      { type: "end", finishReasons: ["stop"], usage: { prompt: 34, completion: 2 } },
    ]);
    expect(bodies[0]).toMatchObject({ timings_per_token: true, stream_options: { include_usage: true } });
  });

  it("takes no prompt's tokens from timings that leave out the cached ones, or that are another server's", async () => {
    for (const timings of [{ prompt_n: 4 }, { cache_n: -1, prompt_n: 4 }, "1.5 s", null]) {
      const { run } = await ask(sse(chunk({ content: "a" }, { timings }), FINISH), { llamaServer: true });
      expect((await run()).map(({ type }) => type)).toEqual(["text", "end"]);
    }
  });

  it("tells for each choice why it ended, and for one that it forgot what it said of another", async () => {
    const ended = (index: number, reason: string) => chunk({}, {}, { index, finish_reason: reason });
    const { run } = await ask(sse(chunk({ content: "a" }), ended(2, "length"), ended(0, "tool_calls")), { choices: 4 });
    expect((await run()).at(-1)).toMatchObject({ finishReasons: ["tool_calls", "length", "length", "length"] });
  });

  it("passes on tool calls, reasoning and log probabilities, and counts by the latter", async () => {
    const logprobs = {
      content: [
        { token: "a", logprob: -1 },
        { token: "b", logprob: -2 },
      ],
    };
    const { run } = await ask(
      sse(
        chunk({ reasoning: "hm" }),
        chunk({
          tool_calls: [{ index: 0, id: "c", type: "function", function: { name: "f", arguments: "{}" }, extra: 1 }],
        }),
        chunk({ content: "ab" }, {}, { logprobs }),
        chunk({}, {}, { finish_reason: "tool_calls" }),
      ),
    );
    expect(await run()).toEqual([
      { type: "structured", choice: 0, delta: { delta: { reasoning_content: "hm" } }, tokens: 1 },
      {
        type: "structured",
        choice: 0,
        delta: {
          delta: { tool_calls: [{ index: 0, id: "c", type: "function", function: { name: "f", arguments: "{}" } }] },
        },
        tokens: 1,
      },
      { type: "text", choice: 0, text: "ab", tokens: 2 },
      { type: "structured", choice: 0, delta: { logprobs }, tokens: 0 },
      { type: "end", finishReasons: ["tool_calls"], usage: null },
    ]);
  });

  it("reads an answer that is not streamed", async () => {
    const whole = {
      choices: [{ index: 0, message: { role: "assistant", content: "all" }, finish_reason: "stop" }],
      ...usage(2, 4),
    };
    const { run } = await ask(JSON.stringify(whole), { type: "application/json" });
    expect(await run()).toContainEqual({ type: "text", choice: 0, text: "all", tokens: 1 });
  });

  const refusal = (error: Record<string, unknown>) => JSON.stringify({ error });
  it.each([
    ["context_length_exceeded", 400, refusal({ message: "This model's maximum context length is 10 tokens" })],
    ["context_length_exceeded", 500, refusal({ message: "n", type: "exceed_context_size_error" })],
    ["unsupported_parameter", 400, refusal({ message: "logprobs is not supported", param: "logprobs" })],
    ["invalid_request", 400, refusal({ message: "bad roles in SECRET" })],
    ["invalid_request", 422, "SECRET is no JSON"],
    ["engine_error", 500, refusal({ message: "CUDA out of memory at SECRET" })],
    ["engine_error", 404, refusal({ message: "model SECRET not found" })],
    ["engine_error", 401, ""],
  ])("calls a refusal %s (%i)", async (code, status, body) => {
    const { run } = await ask(body, { status, type: "application/json" });
    const error = await run().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EngineError);
    expect(error).toMatchObject({ code });
    expect(String(error)).not.toContain("SECRET");
  });

  it.each([
    ["an error in the stream", sse(chunk({ content: "a" }), { error: { message: "SECRET", code: 500 } })],
    ["a chunk that is not JSON", sse("SECRET")],
    ["a chunk of another shape", sse({ choices: "SECRET" })],
    ["an end without a finish reason", sse(chunk({ content: "a" }), "[DONE]")],
  ])("fails at %s", async (_name, stream) => {
    const { run } = await ask(stream);
    const error = await run().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "engine_error" });
    expect(String(error)).not.toContain("SECRET");
  });

  it("says when nobody is there", async () => {
    const { OpenAiEngine } = await import("../../../daemon/engines/openai-engine.ts");
    const { anyOpenAi } = await import("../../../daemon/engines/kinds/any-openai.ts");
    const gone = new OpenAiEngine({ url: NOWHERE, key: null, kind: anyOpenAi, label: "gone", slots: null });
    const request = { body: {}, choices: 1, completionCap: 1 };
    const events = gone.generate(request, new AbortController().signal);
    await expect(events.next()).rejects.toMatchObject({ code: "engine_unreachable" });
    await expect(gone.models()).rejects.toMatchObject({ code: "engine_unreachable" });
  });
});

describe("models", () => {
  const model = (name: string) => ({ name, context: null, quantization: null, loaded: true, features: [] });

  it("get the catalog's ids", () => {
    expect(catalogIdOf("Llama3.1:8B")).toBe("llama3.1-8b");
    expect(catalogIdOf("Qwen/Qwen3-8B")).toBe("qwen/qwen3-8b");
    expect(catalogIdOf("/models/x.gguf")).toBe(null);
    const { chosen, skipped } = chooseModels([model("a:b"), model("/x")], new Map());
    expect([...chosen.keys()]).toEqual(["a-b"]);
    expect(skipped).toEqual(["/x"]);
  });

  it("are those that were named, under the ids that were given", () => {
    const { chosen } = chooseModels([model("a"), model("b")], new Map([["b", "llama-3"]]));
    expect([...chosen].map(([id, { name }]) => [id, name])).toEqual([["llama-3", "b"]]);
    expect(() => chooseModels([model("a")], new Map([["c", "x"]]))).toThrow(
      "--serve c=x: the engine has no model c. It has: a.",
    );
  });

  it("that were not measured get the slowest speed, and what nobody knows a safe value", () => {
    const chosen = new Map([
      ["a", model("a")],
      ["b", model("b")],
    ]);
    const options = { serve: new Map(), slots: 2, context: null, quantization: null, features: ["tools"] as const };
    const offered = offerModels(chosen, new Map([["a", { decode: 12, prefill: 99 }]]), options);
    expect(offered.get("a")?.offered).toMatchObject({
      tokens_per_second: 12,
      prefill_tokens_per_second: 99,
      features: ["tools"],
    });
    expect(offered.get("b")?.offered).toMatchObject({
      tokens_per_second: 12,
      context: 4_096,
      quantization: "fp16",
      slots: 2,
    });
  });

  it("tell their quantization by their names", () => {
    const classes = ["Q4_K_M", "q8_0", "F16", "BF16", "8bit", "Qwen3-8B-AWQ", "llama", "Q6_K"].map(quantizationOf);
    expect(classes).toEqual(["q4", "q8", "fp16", "fp16", "q8", "q4", null, "q4"]);
  });

  it("are measured by what they say in a time", async () => {
    let now = 0;
    const engine = new ScriptedEngine(answer("a", "b", "c", "d", "e"));
    expect(await measureSpeed(engine, "m", () => (now += 10))).toEqual({ decode: 100, prefill: 700 });
    expect(await measureSpeed(new ScriptedEngine(answer()), "m", () => now)).toBe(null);
  });
});

describe("hardware", () => {
  it("is what nvidia-smi says", async () => {
    const output = "NVIDIA RTX 4090, 24564, 450.00\nNVIDIA RTX 4090, 24564, 450.00\n";
    expect(parseSmi(output)).toEqual({ name: "2 × NVIDIA RTX 4090", vramMb: 49_128, watts: 900 });
    expect(parseSmi("NVIDIA A2, 15356, [N/A]\n")).toEqual({ name: "NVIDIA A2", vramMb: 15_356, watts: null });
    const probed = await probeHardware("desktop", 300, () => Promise.resolve(output));
    expect(probed).toMatchObject({ watts: 300, vram_mb: 49_128, tier: "desktop" });
  });

  it("is the processor where there is none", async () => {
    expect(parseSmi("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")).toBe(null);
    expect(await probeHardware("phone", null, () => Promise.resolve(null))).toMatchObject({ vram_mb: null, watts: 65 });
  });
});
