/** Servers that answer like the engines they stand for. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** Starts a server on a free port and gives its URL; it is closed after the test. */
export async function serveHttp(handler: Handler): Promise<string> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (data: Buffer) => (body += data.toString()));
    request.on("end", () => handler(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server with JSON at some paths, and 404 elsewhere. */
export function serveJson(paths: Readonly<Record<string, unknown>>): Promise<string> {
  return serveHttp((request, response) => {
    const found = paths[request.url ?? ""];
    if (found === undefined) response.writeHead(404).end("not found");
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(found));
  });
}

export const openAiList = (owner: string, ...ids: readonly string[]) => ({
  object: "list",
  data: ids.map((id) => ({ id, object: "model", created: 0, owned_by: owner, max_model_len: 8_192 })),
});

export const LLAMA_PROPS = {
  total_slots: 3,
  default_generation_settings: { n_ctx: 2_048, params: {} },
  model_path: "/models/qwen2.5-0.5b-q4_k_m.gguf",
  build_info: "b6000-abc",
};

export const OLLAMA = {
  "/api/version": { version: "0.12.3" },
  "/api/tags": {
    models: [
      { name: "Llama3.1:8b", details: { quantization_level: "Q4_K_M" } },
      { name: "nomic-embed-text:latest", details: { quantization_level: "F16" } },
    ],
  },
  "/api/ps": { models: [{ name: "Llama3.1:8b", context_length: 4_096 }] },
};

/** Chunks of OpenAI's streaming dialect. */
export function chunk(
  delta: Record<string, unknown>,
  more: Record<string, unknown> = {},
  choice: Record<string, unknown> = {},
) {
  return { object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: null, ...choice }], ...more };
}

export const sse = (...events: readonly unknown[]): string =>
  events.map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`).join("");
