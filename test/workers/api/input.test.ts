import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { call, openAccount, requestOf } from "./support.ts";

const post = async (body: unknown, headers: Record<string, string> = {}) => {
  const { key } = await openAccount();
  return call("/api/v1/keys", { key, body, headers });
};

describe("a body", () => {
  it.each(["", "{", "nope", '{"name":"a"', "\u0000"])("that is no JSON is refused: %j", async (body) => {
    const { status, json } = await post(body, { "content-type": "application/json" });
    expect([status, json.code]).toEqual([400, "invalid_json"]);
  });

  it("that is no UTF-8 is refused", async () => {
    const { key } = await openAccount();
    const request = requestOf("/api/v1/keys", { key, body: "" });
    const broken = new Request(request, { method: "POST", body: Uint8Array.of(0x7b, 0xff, 0x7d) });
    const response = await exports.default.fetch(broken);
    expect([response.status, (await response.json<{ code: string }>()).code]).toEqual([400, "invalid_json"]);
  });

  it.each(["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx", "multipart/form-data"])(
    "of type %j is refused",
    async (type) => {
      const { status, json } = await post('{"name":"a"}', { "content-type": type });
      expect([status, json.code]).toEqual([415, "unsupported_media_type"]);
    },
  );

  it("may name its charset", async () => {
    expect((await post({ name: "a" }, { "content-type": "application/json; charset=utf-8" })).status).toBe(201);
  });

  it.each([
    [{}, "name"],
    [{ name: "" }, "name"],
    [{ name: 1 }, "name"],
    [{ name: "x".repeat(65) }, "name"],
    [{ name: "a", color: "red" }, "color"],
    [{ name: "a", id: "with space" }, "id"],
    [[], undefined],
    [null, undefined],
    ["text", undefined],
  ])("%j is refused by its parameter", async (body, param) => {
    const { status, json } = await post(JSON.stringify(body));
    expect([status, json.code, json.param]).toEqual([400, "invalid_request", param]);
  });

  it("that is too large is refused by what it says of itself", async () => {
    const { status, json } = await post({ name: "x".repeat(LIMITS.networkBodyBytes) });
    expect([status, json.code]).toEqual([413, "request_too_large"]);
  });

  it("that turns out too large is refused while it streams", async () => {
    const { key } = await openAccount();
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(16_384));
      },
    });
    const request = new Request(requestOf("/api/v1/keys", { key, body: "" }), { method: "POST", body: endless });
    const response = await exports.default.fetch(request);
    expect([response.status, (await response.json<{ code: string }>()).code]).toEqual([413, "request_too_large"]);
    expect(pulled).toBeLessThan(64);
  });
});

it("refuses an Idempotency-Key of another form", async () => {
  const { status, json } = await post({ name: "a" }, { "idempotency-key": "x".repeat(65) });
  expect([status, json.code, json.param]).toEqual([400, "invalid_request", "idempotency-key"]);
});

it.each(["/jobs/short", "/receipts/short", `/jobs/${"z".repeat(22)}`, "/jobs/%00", "/daemons/0OIl"])(
  "refuses the id in %s",
  async (path) => {
    const { key } = await openAccount();
    const { status, json } = await call(`/api/v1${path}`, { key });
    expect([status, json.code]).toEqual([400, "invalid_request"]);
    expect(["id", "job"]).toContain(json.param);
  },
);

it("leaves no row behind when it refuses", async () => {
  const { key } = await openAccount();
  await call("/api/v1/daemons", { key, body: { public_key: "x", name: "a", payout: "usdc", tier: "desktop" } });
  expect(await env.DB.prepare("SELECT count(*) AS n FROM daemons").first("n")).toBe(0);
});
