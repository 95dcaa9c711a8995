/**
 * What the platform's queue would still have after the process of its consumer has died: Miniflare keeps messages in that
 * same process. The Worker's entry module tells of every message that is queued, before the sender hears of it, and of
 * every one whose consumer has acknowledged it.
 */

import { type Request, Response } from "miniflare";

export class QueueMemory {
  readonly #messages = new Set<string>();

  /** Messages that no consumer has acknowledged, as JSON, oldest first. */
  get messages(): readonly string[] {
    return [...this.#messages];
  }

  /** The service that the entry module calls. */
  readonly service = async (request: Request): Promise<Response> => {
    const body = await request.text();
    if (new URL(request.url).pathname === "/queued") this.#messages.add(body);
    else for (const message of JSON.parse(body) as unknown[]) this.#messages.delete(JSON.stringify(message));
    return new Response();
  };
}
