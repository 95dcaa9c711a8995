import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { app } from "../../../workers/app.ts";

/** A limiter that lets two requests of an address through. */
function limited() {
  const seen = new Map<string, number>();
  const limit = ({ key }: RateLimitOptions) => {
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    return Promise.resolve({ success: count <= 2 });
  };
  return { ...env, ADDRESS_LIMIT: { limit } };
}

const ask = (bindings: Env, path: string, address?: string) => {
  const headers = address === undefined ? {} : { "cf-connecting-ip": address };
  return app.fetch(new Request(`https://tollmill.test${path}`, { headers }), bindings, createExecutionContext());
};

it.each(["/v1/models", "/api/v1/status"])(
  "bounds an address at %s, in the dialect of the path, and no other one",
  async (path) => {
    const bindings = limited();
    expect((await ask(bindings, path, "192.0.2.1")).status).toBe(200);
    expect((await ask(bindings, path, "192.0.2.1")).status).toBe(200);
    const refused = await ask(bindings, path, "192.0.2.1");
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("10");
    expect(JSON.stringify(await refused.json())).toContain("rate_limited");
    expect((await ask(bindings, path, "192.0.2.2")).status).toBe(200);
  },
);

it("bounds nobody where the platform names no address", async () => {
  const bindings = limited();
  for (let request = 0; request < 4; request++) expect((await ask(bindings, "/v1/models")).status).toBe(200);
});

it("has its binding", async () => {
  expect(await env.ADDRESS_LIMIT.limit({ key: "test" })).toEqual({ success: true });
});
