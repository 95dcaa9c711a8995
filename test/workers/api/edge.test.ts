import { describe, expect, it, vi } from "vitest";
import { ERRORS } from "../../../core/errors.ts";
import { call, callWith, openAccount } from "./support.ts";

describe("paths and methods", () => {
  it("speak RFC 9457 outside /v1", async () => {
    for (const path of ["/nope", "/api/v1/nope", "/api/v2/balance", "/v1x"]) {
      const { status, json, headers } = await call(path);
      expect([path, status, json.code]).toEqual([path, 404, "not_found"]);
      expect(json).toMatchObject({ type: "/docs/errors#not_found", title: ERRORS.not_found.title, status: 404 });
      expect(headers.get("content-type")).toBe("application/problem+json");
    }
  });

  it("speak OpenAI's dialect under /v1", async () => {
    for (const path of ["/v1", "/v1/nope", "/v1/"]) {
      const { status, json } = await call(path);
      expect([path, status]).toEqual([path, 404]);
      expect(json).toEqual({
        error: { message: expect.any(String), type: "not_found_error", param: null, code: "not_found" },
      });
    }
  });

  it("name the methods that a path knows", async () => {
    const { status, json, headers } = await call("/api/v1/keys", { method: "PATCH" });
    expect([status, json.code]).toEqual([405, "method_not_allowed"]);
    expect(headers.get("allow")?.split(", ").sort()).toEqual(["GET", "HEAD", "POST"]);
  });
});

describe("every answer", () => {
  it("carries a request id of its own", async () => {
    const ids = new Set<string>();
    for (const path of ["/nope", "/v1/nope", "/docs", "/openapi.json", "/api/v1/status", "/api/v1/balance"]) {
      const { headers } = await call(path, { headers: { "x-request-id": "mine" } });
      expect(headers.get("x-request-id")).toMatch(/^req_[0-9A-Za-z]{22}$/);
      ids.add(headers.get("x-request-id") ?? "");
    }
    expect(ids.size).toBe(6);
  });

  it("may be read by any page, without credentials", async () => {
    const preflight = await call("/api/v1/keys", {
      method: "OPTIONS",
      headers: {
        origin: "https://elsewhere.test",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, idempotency-key",
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
    expect(preflight.headers.get("access-control-allow-headers")).toBe("authorization,idempotency-key");
    expect(preflight.headers.get("access-control-allow-credentials")).toBeNull();
    const { headers } = await call("/api/v1/balance", { headers: { origin: "https://elsewhere.test" } });
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("access-control-expose-headers")).toContain("x-request-id");
  });

  it("with an account's data is kept by no cache", async () => {
    const { key } = await openAccount();
    const { headers } = await call("/api/v1/balance", { key });
    expect(headers.get("cache-control")).toBe("no-store");
  });
});

describe("what breaks inside", () => {
  it("is an internal_error that leaks nothing and leaves an event", async () => {
    const { key } = await openAccount();
    const events = vi.spyOn(console, "error").mockImplementation(() => {});
    const getByName = () => {
      throw new Error(`secret detail ${key}`);
    };
    const { status, json, text, headers } = await callWith(
      { ACCOUNT: { getByName } as unknown as Env["ACCOUNT"] },
      "/api/v1/balance?secret=1",
      { key },
    );
    const [line] = events.mock.calls[0] as [string];
    events.mockRestore();
    expect([status, json.code]).toEqual([500, "internal_error"]);
    expect(text).not.toContain("secret");
    expect(json.metadata).toEqual({ request_id: headers.get("x-request-id") });
    expect(JSON.parse(line)).toMatchObject({
      event: "request_failed",
      method: "GET",
      path: "/api/v1/balance",
      request_id: headers.get("x-request-id"),
      message: "secret detail tm_…",
    });
  });

  it("says in the event which variable is missing", async () => {
    const events = vi.spyOn(console, "error").mockImplementation(() => {});
    const { status, text } = await callWith({ EDGE_KEY: "short" }, "/api/v1/balance");
    const [line] = events.mock.calls[0] as [string];
    events.mockRestore();
    expect(status).toBe(500);
    expect(text).not.toContain("EDGE_KEY");
    expect(line).toContain("wrangler secret put EDGE_KEY");
  });
});

describe("the reference", () => {
  it("loads its program from the network itself, under a strict policy", async () => {
    const { status, text, headers } = await call("/docs");
    expect(status).toBe(200);
    expect(headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self';");
    expect(text).toContain('src="/docs/api-reference.js"');
    expect(text).not.toMatch(/https?:\/\//);
    // Under the policy no script may stand in the page itself.
    expect(text).not.toMatch(/<script[^>]*>[^<]/);
  });

  it("has a place for every error code", async () => {
    const { text } = await call("/docs/errors");
    for (const code of Object.keys(ERRORS)) expect(text).toContain(`id="${code}"`);
  });
});
