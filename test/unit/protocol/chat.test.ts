import { describe, expect, it } from "vitest";
import { refuseIssues } from "../../../protocol/errors.ts";
import { chatRequest, engineRequest, neededFeatures, structuredDelta } from "../../../protocol/openai/chat.ts";

const user = { role: "user", content: "Hello" };
const base = { model: "maker/eight", messages: [user] };
const image = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } };
const tool = { type: "function", function: { name: "look_up", parameters: { type: "object" } } };

describe("a chat request is accepted with", () => {
  it.each([
    ["the least there is", {}],
    [
      "every role",
      {
        messages: [
          { role: "system", content: "s" },
          { role: "developer", content: "d" },
          user,
          {
            role: "assistant",
            content: null,
            tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
          },
          { role: "tool", content: "r", tool_call_id: "1" },
        ],
      },
    ],
    [
      "parts of text and images",
      { messages: [{ role: "user", content: [{ type: "text", text: "What is this?" }, image] }] },
    ],
    [
      "nulls where OpenAI's clients send them",
      { temperature: null, max_tokens: null, stop: null, stream: null, seed: null },
    ],
    ["what a stream may name", { stream: true, stream_options: { include_usage: true } }],
    [
      "tools",
      { tools: [tool], tool_choice: { type: "function", function: { name: "look_up" } }, parallel_tool_calls: false },
    ],
    [
      "a JSON schema",
      { response_format: { type: "json_schema", json_schema: { name: "x", schema: {}, strict: true } } },
    ],
    ["OpenAI's bookkeeping", { user: "u", metadata: { a: "b" }, store: false, service_tier: "auto" }],
    [
      "Tollmill's own parameters",
      {
        lane: "public",
        network: "n",
        route: "self",
        provider: { only: ["p"], max_price: "0.1", quantizations: ["q4"], allow_fallbacks: false },
      },
    ],
  ])("%s", (_, change) => {
    expect(chatRequest.safeParse({ ...base, ...change })).toMatchObject({ success: true });
  });
});

describe("a chat request is refused, naming the parameter at fault, for", () => {
  it.each([
    ["no model", { model: undefined }, "model"],
    ["an empty model", { model: "" }, "model"],
    ["no messages", { messages: undefined }, "messages"],
    ["an empty conversation", { messages: [] }, "messages"],
    ["messages that are a text", { messages: "Hello" }, "messages"],
    ["an unknown role", { messages: [user, { role: "wizard", content: "x" }] }, "messages[1].role"],
    ["a message without content", { messages: [{ role: "user" }] }, "messages[0].content"],
    ["a content that is a number", { messages: [{ role: "user", content: 5 }] }, "messages[0].content"],
    [
      "an unknown kind of part",
      { messages: [{ role: "user", content: [{ type: "video" }] }] },
      "messages[0].content[0].type",
    ],
    [
      "an image by its address",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "https://x.test/a.png" } }] }] },
      "messages[0].content[0].image_url.url",
    ],
    ["a tool's answer to nobody", { messages: [{ role: "tool", content: "x" }] }, "messages[0].tool_call_id"],
    ["a temperature past 2", { temperature: 2.1 }, "temperature"],
    ["a temperature as a text", { temperature: "0.5" }, "temperature"],
    ["a top_p below 0", { top_p: -0.1 }, "top_p"],
    ["no completion", { max_completion_tokens: 0 }, "max_completion_tokens"],
    ["half a token", { max_tokens: 1.5 }, "max_tokens"],
    ["too many choices", { n: 9 }, "n"],
    ["too many stop sequences", { stop: ["a", "b", "c", "d", "e"] }, "stop"],
    ["an empty stop sequence", { stop: [""] }, "stop[0]"],
    ["too many candidates", { top_logprobs: 21 }, "top_logprobs"],
    ["a tool without a name", { tools: [{ type: "function", function: {} }] }, "tools[0].function.name"],
    ["an unknown choice of tools", { tool_choice: "maybe" }, "tool_choice"],
    ["an unknown format", { response_format: { type: "xml" } }, "response_format.type"],
    ["an unknown lane", { lane: "fast" }, "lane"],
    ["another route", { route: "moon" }, "route"],
    ["an unknown quantization", { provider: { quantizations: ["q5"] } }, "provider.quantizations[0]"],
    ["an unknown preference", { provider: { order: ["a"] } }, "provider.order"],
    ["an unknown parameter", { best_of: 5 }, "best_of"],
  ])("%s", (_, change, param) => {
    const result = chatRequest.safeParse({ ...base, ...change });
    if (result.success) throw new Error("it was accepted");
    const refusal = refuseIssues(result.error);
    expect(refusal).toMatchObject({ code: "invalid_request", param });
    expect(refusal.message.startsWith(`${param}: `)).toBe(true);
  });

  it("a body that is no object, which has no parameter to name", () => {
    for (const body of [null, "x", 5, []]) {
      const refusal = refuseIssues(chatRequest.safeParse(body).error as Parameters<typeof refuseIssues>[0]);
      expect(refusal.param).toBeUndefined();
      expect(refusal.message).toMatch(/^The body: /);
    }
  });

  it("a prompt, without repeating it", () => {
    const secret = "my secret prompt";
    const bodies = [
      { ...base, messages: [{ role: secret, content: secret }] },
      { ...base, messages: secret },
      { ...base, messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: secret } }] }] },
      { ...base, lane: secret },
      { ...base, stop: [secret, 5] },
    ];
    for (const body of bodies) {
      const refusal = refuseIssues(chatRequest.safeParse(body).error as Parameters<typeof refuseIssues>[0]);
      expect(JSON.stringify(refusal)).not.toContain(secret);
    }
  });
});

describe("what a request needs of an engine", () => {
  const needs = (change: object) => neededFeatures(chatRequest.parse({ ...base, ...change }));
  it.each([
    ["nothing", {}, []],
    [
      "nothing for defaults",
      { n: 1, frequency_penalty: 0, logprobs: false, top_logprobs: 0, response_format: { type: "text" }, seed: null },
      [],
    ],
    ["choices", { n: 2 }, [["n", "n"]]],
    ["a seed, even 0", { seed: 0 }, [["seed", "seed"]]],
    ["a temperature, even 0", { temperature: 0 }, [["temperature", "temperature"]]],
    [
      "candidates",
      { logprobs: true, top_logprobs: 3 },
      [
        ["logprobs", "logprobs"],
        ["top_logprobs", "top_logprobs"],
      ],
    ],
    ["tools", { tools: [tool] }, [["tools", "tools"]]],
    ["a format", { response_format: { type: "json_object" } }, [["json_object", "response_format"]]],
    ["eyes", { messages: [user, { role: "user", content: [image] }] }, [["image_input", "messages[1].content"]]],
  ])("is %s", (_, change, expected) => {
    expect(needs(change).map(({ feature, param }) => [feature, param])).toEqual(expected);
  });
});

it("an engine is given what it understands, its own model's name and the cap, and nothing else", () => {
  const request = chatRequest.parse({
    ...base,
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: 9,
    temperature: 0.5,
    seed: null,
    user: "u",
    metadata: {},
    store: true,
    service_tier: "x",
    safety_identifier: "s",
    prompt_cache_key: "p",
    lane: "public",
    network: "n",
    provider: {},
    route: "self",
  });
  expect(engineRequest(request, "engine:8b", 256)).toEqual({
    model: "engine:8b",
    messages: [user],
    temperature: 0.5,
    max_completion_tokens: 256,
  });
});

describe("a structured delta", () => {
  it.each([
    [
      { delta: { tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "f", arguments: "" } }] } },
      true,
    ],
    [{ logprobs: { content: [{ token: "a" }] } }, true],
    [{ delta: { role: "assistant" } }, false],
    [{ delta: { tool_calls: [{ index: -1 }] } }, false],
    [{ usage: {} }, false],
    ["text", false],
  ])("%j: %s", (value, ok) => {
    expect(structuredDelta.safeParse(value).success).toBe(ok);
  });
});
