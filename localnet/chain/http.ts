/** The chain's address: JSON-RPC for clients, a faucet and faults for whoever works on this machine, pages for people. */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { z } from "zod";
import { faucetRequest, payRequest } from "../../protocol/local/faucet.ts";
import { page } from "./explorer/pages.ts";
import { type Faucet, FaucetRefusal } from "./faucet.ts";
import { faultList } from "./faults.ts";
import { reply, type Served } from "./rpc/dispatch.ts";

const MAX_BODY_BYTES = 1_048_576;
const JSON_TYPE = "application/json";
/** Wallets in a browser ask from pages of other origins, so calls of the chain itself are open to them. */
const OPEN = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "content-type, solana-client",
  "access-control-allow-methods": "POST, OPTIONS",
};

interface Local extends Served {
  readonly faucet: Faucet;
}

/** A request that is refused before anything is done. */
class BadRequest extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Answers every request of the chain's HTTP server. */
export function handler(local: Local): RequestListener {
  return (request, response) => {
    serve(local, request, response).catch((error: unknown) => {
      const status = error instanceof BadRequest ? error.status : 500;
      const message = error instanceof Error ? error.message : String(error);
      if (!response.headersSent) sendJson(response, status, { status, title: "Refused", detail: message });
    });
  };
}

async function serve(local: Local, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = "GET" } = request;
  const path = new URL(request.url ?? "/", "http://localhost").pathname;
  if (path === "/" && method === "POST") return await serveRpc(local, request, response);
  if (path === "/" && method === "OPTIONS") return void response.writeHead(204, OPEN).end();
  if (path === "/health" && method === "GET") return void response.writeHead(200).end("ok");
  if (path === "/faucet" && method === "POST") return await serveFaucet(local, request, response);
  if (path === "/pay" && method === "POST") return await servePayment(local, request, response);
  if (path === "/faults") return await serveFaults(local, request, response);
  const { status, html } = method === "GET" ? await page(local, path) : { status: 405, html: "" };
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "content-security-policy": PAGE_POLICY });
  response.end(html);
}

const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'";

async function serveRpc(local: Local, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const result = await reply(local, await bodyOf(request));
  if (result.kind === "answer") {
    response.writeHead(200, { ...OPEN, "content-type": JSON_TYPE }).end(result.body ?? "");
  } else if (result.kind === "rate_limit") {
    const error = { code: 429, message: "Too many requests for a specific RPC call" };
    response.writeHead(429, { ...OPEN, "content-type": JSON_TYPE, "retry-after": "1" });
    response.end(JSON.stringify({ jsonrpc: "2.0", error, id: null }));
  } else {
    // The wait keeps no process alive: the connection does that.
    setTimeout(() => request.socket.destroy(), result.waitMs).unref();
  }
}

async function serveFaucet({ faucet }: Local, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = await jsonOf(request, faucetRequest);
  sendJson(response, 200, await allowed(faucet.give(asked)));
}

async function servePayment({ faucet }: Local, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = await jsonOf(request, payRequest);
  sendJson(response, 200, await allowed(faucet.pay(asked.solana_pay_url)));
}

async function allowed<T>(gift: Promise<T>): Promise<T> {
  try {
    return await gift;
  } catch (error) {
    if (!(error instanceof FaucetRefusal)) throw error;
    throw new BadRequest(422, error.message);
  }
}

/** GET shows the faults that wait and what has happened, POST adds some, DELETE takes all away. */
async function serveFaults({ faults }: Local, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === "POST") faults.add(...(await jsonOf(request, faultList)));
  else if (request.method === "DELETE") faults.clear();
  else if (request.method !== "GET")
    throw new BadRequest(405, "faults are read with GET, set with POST, and cleared with DELETE");
  sendJson(response, 200, { waiting: faults.waiting, happened: faults.happened });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": JSON_TYPE }).end(JSON.stringify(value));
}

/** A page of another origin cannot send this type without asking first, and is not answered when it asks. */
async function jsonOf<T>(request: IncomingMessage, shape: z.ZodType<T>): Promise<T> {
  if (request.headers["content-type"]?.split(";")[0] !== JSON_TYPE) {
    throw new BadRequest(415, `the body must be ${JSON_TYPE}`);
  }
  const text = await bodyOf(request);
  try {
    return shape.parse(JSON.parse(text));
  } catch (error) {
    throw new BadRequest(400, error instanceof z.ZodError ? z.prettifyError(error) : "the body is no JSON");
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw new BadRequest(413, `a body has at most ${MAX_BODY_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
