/** A stream whose headers are sent while its job still waits: comments with the queue position until it is served. */

import type { Refusal } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { toOpenAiError } from "../../protocol/errors.ts";
import type { PoolJob } from "../../protocol/internal/pool.ts";
import type { Opened } from "./open-job.ts";

const encoder = new TextEncoder();

/** The stream's body: comments until `opened` is known, then the relay's body untouched, or an error event. */
export function waitingStream(
  opened: Promise<Opened>,
  position: () => Promise<PoolJob>,
  head: { readonly id: string; readonly created: number; readonly model: string },
): { body: ReadableStream; done: Promise<void> } {
  const { readable, writable } = new IdentityTransformStream();
  return { body: readable, done: fill(writable, opened, position, head) };
}

async function fill(
  writable: WritableStream<Uint8Array>,
  opened: Promise<Opened>,
  position: () => Promise<PoolJob>,
  head: object,
): Promise<void> {
  const writer = writable.getWriter();
  let result: Opened | undefined;
  while (result === undefined) {
    const where = await position().catch((): PoolJob => ({ type: "unknown" }));
    await writer.write(encoder.encode(commentOf(where)));
    result = await Promise.race([opened, delay(LIMITS.streamCommentMs)]);
  }
  if (result.type === "answer" && result.response.body !== null) {
    writer.releaseLock();
    await result.response.body.pipeTo(writable);
    return;
  }
  if (result.type === "refused") await writer.write(encoder.encode(errorEvent(result.refusal, head)));
  await writer.close();
}

function commentOf(job: PoolJob): string {
  return job.type === "queued" ? `: waiting, position ${job.position}\n\n` : ": waiting\n\n";
}

/** The event that ends a stream which cannot be served. */
export function errorEvent(refusal: Refusal, head: object): string {
  const chunk = {
    ...head,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta: {}, finish_reason: "error" }],
    ...toOpenAiError(refusal),
  };
  return `data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`;
}

function delay(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
