import { describe, expect, it } from "vitest";
import { openApiDocument } from "../../../workers/api/openapi.ts";
import { ADMIN, call, callWith, forbiddenObjects, openAccount } from "./support.ts";

interface Operation {
  readonly tags: string[];
  readonly summary: string;
  readonly description: string;
  readonly security: Record<string, unknown>[];
  readonly parameters?: { name: string; in: string; description?: string; schema?: { description?: string } }[];
  readonly requestBody?: { content: Record<string, { schema: object }> };
  readonly responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}
interface Document {
  readonly openapi: string;
  readonly info: { version: string };
  readonly tags: { name: string }[];
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, object>; securitySchemes: Record<string, object> };
}

const document = openApiDocument() as unknown as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation, name: `${method} ${path}` })),
);
const network = operations.filter(({ path }) => path.startsWith("/api/v1/"));
const ID = "0R7uXmQ2b1vXkYt3Zp9aLc";
const concrete = (path: string) => path.replace(/\{\w+\}/g, ID);
const forged = `tm_${ID}${"0".repeat(43)}abcdef`;
const forgedToken = `tms_${ID}${"0".repeat(43)}abcdef`;

/** Every `$ref` in a value. */
function refs(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(refs);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === "$ref" ? [String(inner)] : refs(inner)));
}

describe("the document", () => {
  it("is served as OpenAPI 3.1", async () => {
    const { status, json } = await call("/openapi.json");
    expect(status).toBe(200);
    expect(json).toEqual(document);
    expect(json.openapi).toBe("3.1.0");
    expect(operations.length).toBeGreaterThan(20);
  });

  it("has no reference that leads nowhere", () => {
    const missing = refs(document).filter((ref) => {
      const name = /^#\/components\/schemas\/(\w+)$/.exec(ref)?.[1];
      return name === undefined || !(name in document.components.schemas);
    });
    expect(missing).toEqual([]);
  });

  it.each(operations)("describes $name whole", ({ path, method, operation }) => {
    expect(operation.summary).toMatch(/^\S.{3,60}$/);
    expect(operation.description).toMatch(/^\S.{20,}$/s);
    expect(document.tags.map(({ name }) => name)).toEqual(expect.arrayContaining(operation.tags));
    const schemes = operation.security.flatMap((requirement) => Object.keys(requirement));
    expect(Object.keys(document.components.securitySchemes)).toEqual(expect.arrayContaining(schemes));
    expect(operation.responses).toHaveProperty("default");
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
    expect(declared.map(({ name }) => name)).toEqual(inPath);
    // A wallet is unlinked with the word of one.
    const isProof = method === "delete" && path.startsWith("/api/v1/wallets/");
    const changes =
      ["post", "put", "patch"].includes(method) && !/\/(resolve|approve|decline|drain|resume)$/.test(path);
    const takesBody = changes || isProof;
    expect(operation.requestBody !== undefined).toBe(takesBody);
  });

  it("says how long an Idempotency-Key is remembered", () => {
    const headers = document.paths["/v1/chat/completions"]?.post?.parameters;
    const key = headers?.find(({ name }) => name === "idempotency-key");
    expect(key?.description ?? key?.schema?.description).toMatch(/on the UTC day it was used on and the day after/);
  });
});

describe("keys", () => {
  const keyed = network.filter(({ operation }) => operation.security.length > 0);

  it("are asked for everywhere but on these paths", () => {
    const open = network.filter(({ operation }) => operation.security.length === 0).map(({ name }) => name);
    expect(open.sort()).toEqual([
      "get /api/v1/connect",
      "get /api/v1/epochs/daily",
      "get /api/v1/epochs/daily/{epoch}",
      "get /api/v1/invariants",
      "get /api/v1/log/keys",
      "get /api/v1/market",
      "get /api/v1/market/auctions/{job}",
      "get /api/v1/market/draws",
      "get /api/v1/market/draws/{day}",
      "get /api/v1/packages",
      "get /api/v1/status",
      "post /api/v1/auth/challenge",
      "post /api/v1/auth/refresh",
      "post /api/v1/auth/verify",
      "post /api/v1/team/join",
    ]);
  });

  it.each(keyed)("$name refuses a call without one, before it looks at anything", async ({ path, method }) => {
    const { bindings, uses } = forbiddenObjects();
    const { status, json, headers } = await callWith(bindings, concrete(path), { method: method.toUpperCase() });
    expect({ status, code: json.code, uses }).toEqual({ status: 401, code: "missing_api_key", uses: [] });
    expect(headers.get("content-type")).toBe("application/problem+json");
  });

  it.each(keyed)("$name refuses a forged one and touches no object", async ({ path, method }) => {
    const { bindings, uses } = forbiddenObjects();
    for (const key of [forged, forgedToken, "tms_", "tm_", "sk-123", "x".repeat(5_000)]) {
      const { status, json } = await callWith(bindings, concrete(path), { method: method.toUpperCase(), key });
      expect({ status, code: json.code, uses }).toEqual({ status: 401, code: "invalid_api_key", uses: [] });
    }
  });

  it.each(keyed.filter(({ path }) => path.includes("/admin/")))(
    "$name refuses an account's own key",
    async ({ path, method }) => {
      const { key } = await openAccount();
      const { status, json } = await call(concrete(path), { method: method.toUpperCase(), key });
      expect([status, json.code]).toEqual([401, "invalid_api_key"]);
    },
  );

  it.each(keyed.filter(({ path }) => !path.includes("/admin/")))(
    "$name refuses the operator's key",
    async ({ path, method }) => {
      const { status, json } = await call(concrete(path), { method: method.toUpperCase(), key: ADMIN });
      expect([status, json.code]).toEqual([401, "invalid_api_key"]);
    },
  );

  it("are asked for under /v1 in OpenAI's dialect", async () => {
    const inference = operations.filter(
      ({ path, operation }) => path.startsWith("/v1/") && operation.security.length > 0,
    );
    expect(inference.map(({ name }) => name)).toEqual(["post /v1/chat/completions"]);
    const { bindings, uses } = forbiddenObjects();
    for (const [key, code] of [
      ["", "missing_api_key"],
      [forged, "invalid_api_key"],
    ] as const) {
      const { status, json } = await callWith(bindings, "/v1/chat/completions", { method: "POST", key });
      expect({ status, code: json.error.code, uses }).toEqual({ status: 401, code, uses: [] });
    }
  });

  it("that were revoked are refused everywhere", async () => {
    const { key, account } = await openAccount("revoking");
    const { json } = await call("/api/v1/keys", { key, body: { name: "second" } });
    const { id } = json;
    await call(`/api/v1/keys/${id}`, { key, method: "DELETE" });
    for (const path of ["/balance", "/keys", "/ledger", "/receipts", "/daemons", `/jobs/${account}`]) {
      const { status, json: refusal } = await call(`/api/v1${path}`, { key: json.key });
      expect([path, status, refusal.code]).toEqual([path, 401, "invalid_api_key"]);
    }
  });
});
