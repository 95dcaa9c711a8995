import { createExecutionContext, listDurableObjectIds } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { DAY_MS } from "../../../core/time.ts";
import type { HoldRequest } from "../../../protocol/internal/account.ts";
import { softStop } from "../../../protocol/openai/soft-stop.ts";
import { app } from "../../../workers/app.ts";
import {
  accountOf,
  addDaemon,
  addModel,
  balance,
  call,
  chat,
  credit,
  eventsOf,
  openAccount,
  openMarket,
  STARTER,
  type TestAccount,
  withKey,
} from "../job/network.ts";

interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
    readonly metadata?: Record<string, unknown>;
  };
}

const errorOf = async (response: Response) => (await response.json<ErrorBody>()).error;
const SECRET = "a prompt that nobody may read";
const user = (content: unknown) => ({ role: "user", content });

describe("who asks", () => {
  it("asks for a key, and refuses a wrong one", async () => {
    await addModel();
    const { apiKey } = await openAccount();
    const missing = await call("/v1/chat/completions", { method: "POST", body: "{}" });
    expect(missing.status).toBe(401);
    expect(await errorOf(missing)).toMatchObject({ code: "missing_api_key", type: "authentication_error" });
    // Another secret with a checksum of its own is for the account to refuse, a bad checksum for the edge.
    const broken = await chat(`${apiKey.slice(0, -1)}${apiKey.endsWith("0") ? "1" : "0"}`);
    expect(broken.status).toBe(401);
    expect(await errorOf(broken)).toMatchObject({ code: "invalid_api_key" });
  });

  it("touches no object for a forged key", async () => {
    await addModel();
    const before = (await listDurableObjectIds(env.ACCOUNT as unknown as DurableObjectNamespace)).length;
    const forged = `tm_${"1".repeat(22 + 43)}AAAAAA`;
    const uses: string[] = [];
    const forbidden = new Proxy({}, { get: (_, name) => uses.push(String(name)) });
    const request = new Request("https://tollmill.test/v1/chat/completions", {
      method: "POST",
      headers: { authorization: `Bearer ${forged}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "test-model", messages: [user("Hi")] }),
    });
    const bindings = { ...env, ACCOUNT: forbidden, SCHEDULER: forbidden, RELAY: forbidden };
    const response = await app.fetch(request, bindings, createExecutionContext());
    expect(response.status).toBe(401);
    expect(uses).toEqual([]);
    expect(await listDurableObjectIds(env.ACCOUNT as unknown as DurableObjectNamespace)).toHaveLength(before);
  });
});

/** A body's change, and the parameter that the refusal names. */
const BAD: [string, object, string][] = [
  ["a temperature above 2", { temperature: 3 }, "temperature"],
  ["an unknown parameter", { temprature: 1 }, "temprature"],
  ["no messages", { messages: [] }, "messages"],
  ["a content that is no text", { messages: [user(7)] }, "messages[0].content"],
  ["a part of an unknown type", { messages: [user([{ type: "video", text: SECRET }])] }, "messages[0].content[0].type"],
  [
    "an image that is no data URL",
    { messages: [user([{ type: "image_url", image_url: { url: `http://${SECRET}` } }])] },
    "messages[0].content[0].image_url.url",
  ],
  ["a role that does not exist", { messages: [user("Hi"), { role: "oracle", content: SECRET }] }, "messages[1].role"],
  ["too many choices", { n: 9 }, "n"],
  ["too many stops", { stop: ["a", "b", "c", "d", "e"] }, "stop"],
  ["a tool with a bad name", { tools: [{ type: "function", function: { name: SECRET } }] }, "tools[0].function.name"],
  ["more tokens than the model completes (new name)", { max_completion_tokens: 2_049 }, "max_completion_tokens"],
  ["more tokens than the model completes (old name)", { max_tokens: 2_049 }, "max_tokens"],
  ["a lane that the model is not served in", { lane: "league" }, "lane"],
  ["a price that is no number", { provider: { max_price: SECRET } }, "provider.max_price"],
  ["an unknown provider preference", { provider: { order: ["a"] } }, "provider.order"],
  ["a lane for an own device", { route: "self", lane: "public" }, "lane"],
];

describe("a bad request", () => {
  it.each(BAD)("is refused for %s, by the parameter's name and without its value", async (_, changes, param) => {
    await addModel();
    const { apiKey } = await openAccount();
    const response = await chat(apiKey, changes);
    expect(response.status).toBe(400);
    const text = await response.text();
    expect((JSON.parse(text) as ErrorBody).error.param).toBe(param);
    expect(text).not.toContain(SECRET);
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    expect(await balance(apiKey)).toEqual({ available: STARTER, held: 0 });
  });

  it.each([
    ["no JSON", `{"messages": "${SECRET}`, 400, "invalid_json"],
    ["a list", "[]", 400, "invalid_request"],
    ["too large", " ".repeat(8 * 1_024 * 1_024 + 1), 413, "request_too_large"],
  ])("is refused when its body is %s", async (_, body, status, code) => {
    const { apiKey } = await openAccount();
    const response = await chat(apiKey, {}, { body });
    expect(response.status).toBe(status);
    const text = await response.text();
    expect((JSON.parse(text) as ErrorBody).error.code).toBe(code);
    expect(text).not.toContain(SECRET);
  });

  it("is refused for a model that does not exist, and for an idempotency key that is none", async () => {
    await addModel();
    const { apiKey } = await openAccount();
    const unknown = await chat(apiKey, { model: "unheard-of" });
    expect(unknown.status).toBe(404);
    expect(await errorOf(unknown)).toMatchObject({ code: "model_not_found", param: "model" });
    const key = await chat(apiKey, {}, { headers: { "idempotency-key": "x".repeat(256) } });
    expect(key.status).toBe(400);
    expect(await errorOf(key)).toMatchObject({ param: "Idempotency-Key" });
  });

  it("is refused for a feature that no daemon has, and charged nothing", async () => {
    const { consumer, provider } = await openMarket();
    await addDaemon(provider, { offer: { features: ["temperature"] } });
    const response = await chat(consumer.apiKey, { response_format: { type: "json_object" } });
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({ code: "unsupported_parameter", param: "response_format" });
    expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
  });
});

/** Asks for a stream, lets the account's hold wait until `answer` is called, and has the stream's headers. */
async function beginSlowly(
  consumer: TestAccount,
  changes: object,
): Promise<{ response: Response; answer: () => void }> {
  const { rpc } = accountOf(consumer);
  const answered = Promise.withResolvers<void>();
  const hold = async (request: HoldRequest) => {
    await answered.promise;
    return await rpc.hold(request);
  };
  const account = new Proxy(rpc, { get: (_, name) => (name === "hold" ? hold : Reflect.get(rpc, name)) });
  const request = new Request("https://tollmill.test/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify({ model: "test-model", stream: true, messages: [user("Hi")], ...changes }),
    ...withKey(consumer.apiKey, { "content-type": "application/json" }),
  });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const asked = app.fetch(request, { ...env, ACCOUNT: { getByName: () => account } }, createExecutionContext());
  await vi.waitFor(async () => {
    // The account is asked after the catalog, and only then does the wait begin.
    await vi.advanceTimersByTimeAsync(LIMITS.headersAfterMs);
    expect(await Promise.race([asked, Promise.resolve(null)])).not.toBeNull();
  });
  vi.useRealTimers();
  return { response: await asked, answer: answered.resolve };
}

describe("an empty purse", () => {
  it("meets the soft stop with everything that a product screen needs", async () => {
    await addModel();
    const consumer = await openAccount(false);
    await credit(consumer, "bonus", "6", "small");
    const before = Date.now();
    const response = await chat(consumer.apiKey, { max_tokens: 100 });
    expect(response.status).toBe(402);
    expect(response.headers.get("x-job-id")).toMatch(/^[0-9A-Za-z]{22}$/);
    expect(response.headers.get("x-credits-remaining")).toBe("6.000");
    const { code, type, metadata, message } = await errorOf(response);
    expect([code, type]).toEqual(["insufficient_credits", "insufficient_quota"]);
    expect(message).toContain("8.200");
    expect(softStop.strict().parse(metadata)).toMatchObject({
      balance: "6.000",
      required: "8.200",
      shortfall: "2.200",
      unused_paid: "0.000",
      packages: [],
      x402: null,
    });
    expect(response.headers.get("x-credits-held")).toBe("0.000");
    expect(metadata?.refresh_at).toBe(response.headers.get("x-credits-refresh"));
    const refresh = Date.parse(String(metadata?.refresh_at));
    expect([refresh % DAY_MS, refresh > before]).toEqual([0, true]);
  });

  it("meets it in the same words when it asks for a stream", async () => {
    await addModel();
    const consumer = await openAccount(false);
    await credit(consumer, "bonus", "6", "small");
    const [plain, stream] = await Promise.all([
      chat(consumer.apiKey, { max_tokens: 100 }),
      chat(consumer.apiKey, { max_tokens: 100, stream: true }),
    ]);
    expect([stream.status, stream.headers.get("content-type")]).toEqual([402, plain.headers.get("content-type")]);
    expect(await errorOf(stream)).toEqual(await errorOf(plain));
  });

  it("meets it as the last event of a stream that has begun, as its account took long to answer", async () => {
    await addModel();
    const consumer = await openAccount(false);
    await credit(consumer, "bonus", "6", "small");
    const { response, answer } = await beginSlowly(consumer, { max_tokens: 100, n: 2 });
    expect([response.status, response.headers.get("x-job-id")]).toEqual([200, expect.stringMatching(/^\w{22}$/)]);
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    answer();
    const [last, done, ...more] = eventsOf(await response.text());
    const { choices, error } = JSON.parse(last ?? "") as ErrorBody & { choices: { finish_reason: string }[] };
    expect(choices.map(({ finish_reason: reason }) => reason)).toEqual(["error", "error"]);
    expect(error).toMatchObject({ code: "insufficient_credits", type: "insufficient_quota" });
    expect(softStop.strict().parse(error.metadata)).toMatchObject({ balance: "6.000", shortfall: "10.200" });
    expect([done, more]).toEqual(["[DONE]", []]);
    expect(await balance(consumer.apiKey)).toEqual({ available: 6_000, held: 0 });
  });

  it("is answered in such a stream when it is full after all", async () => {
    const { consumer, provider } = await openMarket();
    await addDaemon(provider);
    const { response, answer } = await beginSlowly(consumer, {});
    answer();
    const events = eventsOf(await response.text());
    expect(events.join("")).toContain("Hello");
    expect(events.at(-1)).toBe("[DONE]");
    expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - 320, held: 0 });
  });

  it("is told when it is below the minimum for remote inference", async () => {
    await addModel();
    const consumer = await openAccount(false);
    await credit(consumer, "bonus", "4.999", "tiny");
    const response = await chat(consumer.apiKey, { max_tokens: 1 });
    expect(response.status).toBe(402);
    const { message, ...error } = await errorOf(response);
    expect(error).toMatchObject({ code: "below_minimum_balance", metadata: { required: "5.000", shortfall: "0.001" } });
    expect(message).toMatch(/local inference or a device of your own: both are free/);
  });
});

describe("a market without a match", () => {
  it("says no_bid with the lowest ask when the request's own bound is below the price", async () => {
    const { consumer, provider } = await openMarket();
    await addDaemon(provider);
    const response = await chat(consumer.apiKey, { provider: { max_price: "0.00007" } });
    expect(response.status).toBe(503);
    expect(await errorOf(response)).toMatchObject({ code: "no_bid", metadata: { lowest_ask: "0.000080000" } });
    expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
  });

  it("gives a job nobody of its own house may serve five seconds, then says so with Retry-After", async () => {
    await addModel();
    const both = await openAccount();
    const daemon = await addDaemon(both);
    const response = await chat(both.apiKey);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(response.headers.get("x-should-retry")).toBeNull();
    expect(await errorOf(response)).toMatchObject({ code: "no_provider", metadata: { passed_over: ["own"] } });
    expect(daemon.jobs).toEqual([]);
    expect(await balance(both.apiKey)).toEqual({ available: STARTER, held: 0 });
  }, 10_000);
});
