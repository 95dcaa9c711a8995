/** The mock engine as an OpenAI endpoint: what the plain proxy and Portkey's gateway stand in front of. */

import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Plan, piecesOf, planOf, play, textOf } from "./answer.ts";

const CREATED = 1_790_000_000;

interface ChatRequest {
  readonly model: string;
  readonly stream?: boolean;
  readonly messages: unknown;
}

/** Starts it on a free port and gives its origin. */
export async function startHttpEngine(): Promise<{ server: Server; origin: string }> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const chat = JSON.parse(Buffer.concat(parts).toString()) as ChatRequest;
      const plan = planOf(chat);
      if (chat.stream === true) stream(response, chat.model, plan);
      else whole(response, chat.model, plan);
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function stream(response: ServerResponse, model: string, plan: Plan): void {
  response.socket?.setNoDelay(true);
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  const head = { id: "chatcmpl-bench", object: "chat.completion.chunk", created: CREATED, model };
  const chunk = (delta: object, finish: string | null) =>
    response.write(
      `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] })}\n\n`,
    );
  let first = true;
  play(
    piecesOf(plan),
    ({ text }) => {
      chunk(first ? { role: "assistant", content: text } : { content: text }, null);
      first = false;
    },
    () => {
      chunk({}, "stop");
      response.end("data: [DONE]\n\n");
    },
    () => response.destroyed,
  );
}

function whole(response: ServerResponse, model: string, plan: Plan): void {
  const message = { role: "assistant", content: textOf(plan) };
  const text = JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion",
    created: CREATED,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: "stop" }],
    usage: { prompt_tokens: 8, completion_tokens: plan.tokens, total_tokens: 8 + plan.tokens },
  });
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}
