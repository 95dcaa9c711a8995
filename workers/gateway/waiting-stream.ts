/** A stream whose headers are sent while its job still waits: comments with the queue position until it is served. */

import { LIMITS } from "../../core/limits.ts";
import type { PoolJob } from "../../protocol/internal/pool.ts";
import { errorEvent, type StreamHead } from "../../protocol/openai/stream.ts";
import type { Opened } from "./open-job.ts";

const encoder = new TextEncoder();

/** The stream's body: comments until `opened` is known, then the relay's body untouched, or an error event. */
export function waitingStream(
  opened: Promise<Opened>,
  position: () => Promise<PoolJob>,
  head: StreamHead,
): { body: ReadableStream; done: Promise<void> } {
  const { readable, writable } = new IdentityTransformStream();
  return { body: readable, done: fill(writable, opened, position, head) };
}

async function fill(
  writable: WritableStream<Uint8Array>,
  opened: Promise<Opened>,
  position: () => Promise<PoolJob>,
  head: StreamHead,
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
  if (result.type === "refused") await writer.write(encoder.encode(errorEvent(head, result.refusal)));
  await writer.close();
}

function commentOf(job: PoolJob): string {
  return job.type === "queued" ? `: waiting, position ${job.position}\n\n` : ": waiting\n\n";
}

function delay(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
