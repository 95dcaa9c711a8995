import { afterAll, beforeAll, expect, it } from "vitest";
import { startServer } from "./support/server.ts";

let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.close());

it("answers on a real port", async () => {
  const response = await fetch(server.url);
  expect(response.status).toBeLessThan(500);
});

it("serves the API reference from the network itself", async () => {
  const response = await fetch(new URL("/docs/api-reference.js", server.url));
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/javascript/);
});

it("sends a path below /docs without a file to the Worker", async () => {
  const [missing, root] = await Promise.all(["/docs/missing", "/docs"].map((path) => fetch(new URL(path, server.url))));
  expect(missing?.status).toBeLessThan(500);
  expect(root?.status).toBeLessThan(500);
});
