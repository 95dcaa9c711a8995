/** An engine with OpenAI's API that stops in the middle of an answer until the test lets it go on. */

import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A prompt with this word is answered only by half until `release`. */
export const SLOWLY = "slowly";

export interface SlowEngine {
  readonly url: string;
  /** What a daemon is started with to serve it, one job at a time, under a catalog model's name. */
  readonly flags: (model: string) => readonly string[];
  /** Lets the answers that wait go on. */
  readonly release: () => void;
  readonly close: () => Promise<void>;
}

const NAME = "slow";

/** Starts the engine; its model is called `slow`. */
export async function startSlowEngine(): Promise<SlowEngine> {
  let release = Promise.withResolvers<void>();
  const answer = async (body: string, response: ServerResponse): Promise<void> => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(chunk("Half an answer"));
    if (body.includes(SLOWLY)) await release.promise;
    response.write(chunk(" and the rest."));
    response.write(chunk(null));
    response.end("data: [DONE]\n\n");
  };
  const server = createServer((request, response) => {
    if (request.url === "/v1/models") {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ object: "list", data: [{ id: NAME, object: "model" }] }));
    } else if (request.url === "/v1/chat/completions") {
      void text(request).then((body) => answer(body, response));
    } else {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const served = ["--engine", url, "--quantization", "q8", "--context", "512", "--slots", "1"];
  return {
    url,
    flags: (model) => [...served, "--serve", `${NAME}=${model}`],
    release: () => {
      release.resolve();
      release = Promise.withResolvers();
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** A chunk of text, or the last one. */
function chunk(content: string | null): string {
  const choice = {
    index: 0,
    delta: content === null ? {} : { content },
    finish_reason: content === null ? "stop" : null,
  };
  const usage = content === null ? { prompt_tokens: 5, completion_tokens: 6, total_tokens: 11 } : undefined;
  return `data: ${JSON.stringify({ object: "chat.completion.chunk", model: NAME, choices: [choice], usage })}\n\n`;
}
