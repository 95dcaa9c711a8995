import { expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { ADMIN, call, openAccount } from "./support.ts";

const MODEL = {
  id: "maker/eight",
  name: "Eight",
  parameters_in_millions: 8_000,
  quantization: "q4",
  context_length: 8_192,
  completion_default: 1_000,
  completion_max: 4_096,
  rates: null,
  prompt_bytes_per_token_hundredths: 100,
  prompt_tokens_per_message: 8,
  prompt_tokens_per_image: 1_000,
  min_bytes_per_token_hundredths: 100,
  lanes: ["public"],
  created: 1_796_000_000_000,
};
const CHAT = { model: "maker/eight", messages: [{ role: "user", content: "0123456789" }] };

async function estimate(body: unknown, credits = "1200", id = "a") {
  await call("/api/v1/admin/models/maker%2Feight", { method: "PUT", key: ADMIN, body: MODEL });
  const { key, account } = await openAccount(id, false);
  const credit = { id: "c", kind: "bonus", amount: credits };
  await call(`/api/v1/admin/accounts/${account}/credits`, { key: ADMIN, body: credit });
  return { key, ...(await call("/api/v1/estimate", { key, body })) };
}

it("prices a request by the golden example", async () => {
  const { status, json } = await estimate({ ...CHAT, max_completion_tokens: 1_000 });
  expect(status).toBe(200);
  // 10 bytes and two times 8 tokens of template: 26 prompt tokens at 20 nanoUSD, 1,000 at 80.
  expect(json).toEqual({
    lane: "public",
    reserved: false,
    concurrency: null,
    prompt_tokens: 26,
    completion_tokens: 1_000,
    hold: "80.520",
    expected: "80.520",
    covered: true,
    shortfall: "0.000",
    per_1k: "80.000",
    lowest_ask: null,
  });
});

it("expects less than it holds where more is named than is usual, and counts every choice", async () => {
  const { json } = await estimate({ ...CHAT, max_completion_tokens: 2_000, n: 2 });
  expect(json).toMatchObject({ completion_tokens: 4_000, hold: "320.520", expected: "160.520" });
});

it("is what the gateway then holds", async () => {
  const cases = [
    ["1200", CHAT],
    // 50 credits afford 618 tokens beside the prompt, fewer than the model's default.
    ["50", CHAT],
    ["1200", { ...CHAT, max_tokens: 7, n: 3 }],
  ] as const;
  // All at once: each is refused only after its pool has waited for daemons.
  await Promise.all(
    cases.map(async ([credits, body], i) => {
      const { key, json } = await estimate(body, credits, `account-${i}`);
      const { headers, status } = await call("/v1/chat/completions", { key, body });
      expect(status).toBe(503);
      expect(headers.get("x-credits-held")).toBe(json.hold);
    }),
  );
}, 20_000);

it("says what is missing where the balance does not cover it", async () => {
  const { status, json } = await estimate({ ...CHAT, max_completion_tokens: 1_000 }, "50");
  expect(status).toBe(200);
  expect(json).toMatchObject({ lane: "public", hold: "80.520", covered: false, shortfall: "30.520" });
});

it("reserves nothing", async () => {
  const { key } = await estimate(CHAT);
  expect((await call("/api/v1/balance", { key })).json).toMatchObject({ available: "1200.000", open_jobs: 0 });
});

it.each([
  [{ ...CHAT, model: "none" }, 404, "model_not_found", "model"],
  [{ ...CHAT, messages: [] }, 400, "invalid_request", "messages"],
  [{ ...CHAT, max_tokens: 5_000 }, 400, "invalid_request", "max_tokens"],
  [{ ...CHAT, lane: "league" }, 400, "lane_unavailable", "lane"],
  ["{", 400, "invalid_json", undefined],
])("refuses %j as the gateway would", async (body, status, code, param) => {
  const { status: got, json, headers } = await estimate(body);
  expect([got, json.code, json.param]).toEqual([status, code, param]);
  expect(headers.get("content-type")).toBe("application/problem+json");
});

it("never repeats a prompt in a refusal", async () => {
  const { text } = await estimate({ ...CHAT, messages: [{ role: "poet", content: "my dear secret" }] });
  expect(text).not.toContain("secret");
  expect((await estimate('{"model": "my dear secret')).text).not.toContain("secret");
});

it("takes as large a body as the gateway, and no larger", async () => {
  const large = { ...CHAT, messages: [{ role: "user", content: "x".repeat(LIMITS.requestBodyBytes) }] };
  expect((await estimate(large)).json.code).toBe("request_too_large");
});
