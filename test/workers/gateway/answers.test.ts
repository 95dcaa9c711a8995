import { expect, it } from "vitest";
import { utf8ToBytes } from "../../../core/receipt/canonical.ts";
import { answering, type ScriptedJob } from "../../support/scripted-daemon.ts";
import { addDaemon, balance, chat, eventsOf, onlyReceipt, openMarket, readUntil, STARTER } from "../job/network.ts";

interface Chunk {
  readonly id: string;
  readonly object: string;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta: { readonly content?: string; readonly role?: string; readonly tool_calls?: object[] };
    readonly logprobs: unknown;
    readonly finish_reason: string | null;
  }[];
  readonly usage?: Record<string, unknown>;
}

async function chunksOf(response: Response): Promise<Chunk[]> {
  const events = eventsOf(await response.text());
  expect(events.at(-1)).toBe("[DONE]");
  return events.slice(0, -1).map((event) => JSON.parse(event) as Chunk);
}

const delta = (job: ScriptedJob, value: object, tokens = 1, choice = 0) =>
  job.frame(1, utf8ToBytes(JSON.stringify(value)), tokens, choice);

it("streams in OpenAI's shape: the role first, the reason last, usage only where it is asked for", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { onJob: answering(["Hel", "lo"]) });
  const response = await chat(consumer.apiKey, { stream: true });
  const chunks = await chunksOf(response);
  const job = response.headers.get("x-job-id");
  expect(chunks.every(({ id, object }) => id === `chatcmpl-${job}` && object === "chat.completion.chunk")).toBe(true);
  expect(chunks.map(({ choices }) => choices[0])).toMatchObject([
    { delta: { role: "assistant", content: "Hel" }, finish_reason: null },
    { delta: { content: "lo" }, finish_reason: null },
    { delta: {}, finish_reason: "stop" },
  ]);
  expect(chunks.some((chunk) => "usage" in chunk)).toBe(false);
});

it("carries every header that its answer can have", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider);
  for (const stream of [true, false]) {
    const { headers, body } = await chat(consumer.apiKey, { stream, max_tokens: 100 });
    await body?.cancel();
    expect(headers.get("x-request-id")).toMatch(/^req_[0-9A-Za-z]{22}$/);
    expect(headers.get("x-job-id")).toMatch(/^[0-9A-Za-z]{22}$/);
    expect(headers.get("x-credits-held")).toBe("8.200");
    expect(headers.get("x-credits-remaining")).toMatch(/^\d+\.\d{3}$/);
    expect(headers.get("x-credits-refresh")).toMatch(/^\d{4}-\d\d-\d\dT00:00:00Z$/);
    expect(headers.get("x-queue-ms")).toMatch(/^\d+$/);
    expect(headers.get("x-should-retry")).toBe("false");
    expect(headers.get("x-relay-result")).toBeNull();
  }
});

it("says in its usage what the job cost, as its receipt does", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider);
  const response = await chat(consumer.apiKey);
  const { usage } = await response.json<{ usage: object }>();
  const { job, charge } = await onlyReceipt(consumer);
  expect(usage).toMatchObject({
    prompt_tokens: 8,
    completion_tokens: 2,
    total_tokens: 10,
    cost: "0.320",
    cost_usd: "0.000000320",
    lane: "public",
    receipt: job,
  });
  expect(charge.millicredits).toBe(320);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - 320, held: 0 });
});

const twoChoices = (job: ScriptedJob) => {
  job.accept();
  for (const word of ["a", "b"]) for (const choice of [0, 1]) job.text(`${word}${choice} `, 1, choice);
  job.done();
};

it("answers with two choices, in a stream and in one body", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider, { onJob: twoChoices });
  const streamed = await chunksOf(await chat(consumer.apiKey, { n: 2, stream: true }));
  for (const choice of [0, 1]) {
    const own = streamed.flatMap(({ choices }) => choices.filter(({ index }) => index === choice));
    expect(own.map((each) => each.delta.content ?? "").join("")).toBe(`a${choice} b${choice} `);
    expect(own[0]?.delta.role).toBe("assistant");
    expect(own.at(-1)?.finish_reason).toBe("stop");
  }
  const plain = await (await chat(consumer.apiKey, { n: 2 })).json<{ choices: object[] }>();
  expect(plain.choices).toMatchObject([
    { index: 0, message: { content: "a0 b0 " } },
    { index: 1, message: { content: "a1 b1 " } },
  ]);
  expect(daemon.jobs.map(({ job }) => job.request.n)).toEqual([2, 2]);
});

const toolCall = (job: ScriptedJob) => {
  job.accept();
  const call = { index: 0, id: "call_1", type: "function", function: { name: "weather", arguments: "" } };
  delta(job, { delta: { tool_calls: [call] } });
  for (const text of ['{"city":', '"Rome"}']) {
    delta(job, { delta: { tool_calls: [{ index: 0, function: { arguments: text } }] } });
  }
  job.done({ finish_reason: "tool_calls" });
};
const TOOLS = { tools: [{ type: "function", function: { name: "weather" } }] };

it("passes tool calls on as deltas in a stream, and puts them together in one body", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { onJob: toolCall });
  const streamed = await chunksOf(await chat(consumer.apiKey, { ...TOOLS, stream: true }));
  const calls = streamed.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
  expect(calls).toHaveLength(3);
  expect(streamed.at(-1)?.choices[0]?.finish_reason).toBe("tool_calls");
  const plain = await (await chat(consumer.apiKey, TOOLS)).json<{ choices: object[] }>();
  expect(plain.choices).toMatchObject([
    {
      message: {
        content: null,
        tool_calls: [{ id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } }],
      },
      finish_reason: "tool_calls",
    },
  ]);
});

it("carries log probabilities beside their text", async () => {
  const { consumer, provider } = await openMarket();
  const token = (text: string) => ({ token: text, logprob: -0.5, bytes: null, top_logprobs: [] });
  const onJob = (job: ScriptedJob) => {
    job.accept();
    for (const text of ["Hel", "lo"]) delta(job, { delta: { content: text }, logprobs: { content: [token(text)] } });
    job.done();
  };
  await addDaemon(provider, { onJob });
  const streamed = await chunksOf(await chat(consumer.apiKey, { logprobs: true, stream: true }));
  expect(streamed[0]?.choices[0]).toMatchObject({
    delta: { role: "assistant", content: "Hel" },
    logprobs: { content: [token("Hel")] },
  });
  const plain = await (await chat(consumer.apiKey, { logprobs: true })).json<{ choices: object[] }>();
  expect(plain.choices).toMatchObject([
    { message: { content: "Hello" }, logprobs: { content: [token("Hel"), token("lo")] } },
  ]);
});

it("gives the engine what it understands, with the completion cap fixed", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  const extras = { user: "me", metadata: { a: "b" }, provider: { allow_fallbacks: true }, lane: "public" };
  await chat(consumer.apiKey, { ...extras, temperature: 0.5, max_tokens: 7, stream: true });
  await chat(consumer.apiKey, { max_completion_tokens: 9, max_tokens: 7 });
  await chat(consumer.apiKey);
  const messages = [{ role: "user", content: "Hi" }];
  expect(daemon.jobs.map(({ job }) => job.request)).toEqual([
    { model: "test-model", messages, temperature: 0.5, max_completion_tokens: 7 },
    { model: "test-model", messages, max_completion_tokens: 9 },
    { model: "test-model", messages, max_completion_tokens: 256 },
  ]);
});

it("bounds the prompt by its bytes, its messages and its images, and holds exactly that price", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider, { offer: { features: ["image_input", "tools"] } });
  const url = "data:image/png;base64,AAAA";
  const messages = [
    { role: "system", content: "é" },
    {
      role: "user",
      content: [
        { type: "text", text: "語" },
        { type: "image_url", image_url: { url } },
      ],
    },
  ];
  const tools = [{ type: "function", function: { name: "f" } }];
  const response = await chat(consumer.apiKey, { messages, tools, max_tokens: 10 });
  const bound = 2 + 3 + JSON.stringify(tools).length + 4 * (messages.length + 1) + 500;
  expect(Number(response.headers.get("x-credits-held")) * 1_000).toBe(bound * 20 + 10 * 80);
  // However much a daemon claims: no more prompt than that is billed.
  daemon.onJob = (job) => (job.accept(), job.text("x"), job.done({ usage: { prompt: 1_000_000, completion: 1 } }));
  const greedy = await chat(consumer.apiKey, { messages, tools, max_tokens: 10 });
  expect(await greedy.json()).toMatchObject({ usage: { prompt_tokens: bound, completion_tokens: 1 } });
});

it("counts every choice in its hold", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { onJob: twoChoices });
  const response = await chat(consumer.apiKey, { n: 2, max_tokens: 100 });
  expect(response.headers.get("x-credits-held")).toBe("16.200");
});

it("sends a stream's headers after ten seconds of waiting, then comments, and serves it in the end", async () => {
  const { consumer, provider } = await openMarket();
  const gate = Promise.withResolvers<void>();
  let jobs = 0;
  await addDaemon(provider, {
    offer: { slots: 1 },
    onJob: async (job) => {
      job.accept();
      // The first is served while another one waits, so that the pool's pace is known.
      if (jobs++ > 0) await gate.promise;
      job.text("late");
      job.done();
    },
  });
  const [first, running] = [chat(consumer.apiKey), chat(consumer.apiKey)];
  expect((await first).status).toBe(200);
  const started = Date.now();
  const response = await chat(consumer.apiKey, { stream: true });
  expect(Date.now() - started).toBeGreaterThan(9_900);
  expect(response.status).toBe(200);
  expect(response.headers.get("x-credits-held")).not.toBeNull();
  expect(response.headers.get("x-queue-ms")).toBeNull();
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect(await readUntil(reader, "\n\n")).toMatch(/^: waiting, position 1, about 1\d s\n\n$/);
  gate.resolve();
  expect((await running).status).toBe(200);
  expect(await readUntil(reader, "[DONE]")).toContain('"content":"late"');
}, 20_000);
