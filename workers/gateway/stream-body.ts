/** Bodies of streams: a relay's as it comes, and one whose headers are sent while its job still waits. */

import type { Refusal } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import type { PoolJob } from "../../protocol/internal/pool.ts";
import { errorEvent, type StreamHead } from "../../protocol/openai/stream.ts";
import type { Opened } from "./open-job.ts";

const encoder = new TextEncoder();

/** A relay's stream, copied by the runtime without waking this code. One that breaks off ends with an error event. */
export function relayedStream(source: ReadableStream<Uint8Array>, head: StreamHead): ReadableStream {
  const { readable, writable } = new IdentityTransformStream();
  pass(source, writable, head).catch(GONE);
  return readable;
}

/** The relay may have settled the job before it was lost, so that this promises nothing. */
const BROKEN_OFF: Refusal = {
  code: "stream_interrupted",
  message: "The answer broke off on its way. GET /api/v1/jobs/{id} tells whether anything was charged for it.",
};

/** The open body keeps its request alive; whoever stops reading it ends the copying too, which is no error of ours. */
const GONE = (): void => {};

async function pass(
  source: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  head: StreamHead,
): Promise<void> {
  let last = "";
  try {
    await source.pipeTo(writable, { preventAbort: true, preventClose: true });
  } catch {
    // The relay was lost, perhaps in the middle of an event. Where it is the consumer who has gone, this is not written.
    last = `\n\n${errorEvent(head, BROKEN_OFF)}`;
  }
  const writer = writable.getWriter();
  if (last !== "") await writer.write(encoder.encode(last));
  await writer.close();
}

/** A body for a job that waits: comments until `opened` is known, then the relay's stream, or an error event. */
export function waitingStream(
  opened: Promise<Opened>,
  position: () => Promise<PoolJob>,
  head: StreamHead,
): ReadableStream {
  const { readable, writable } = new IdentityTransformStream();
  fill(writable, opened, position, head).catch(GONE);
  return readable;
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
    return await pass(result.response.body, writable, head);
  }
  if (result.type === "refused") await writer.write(encoder.encode(errorEvent(head, result.refusal)));
  await writer.close();
}

function commentOf(job: PoolJob): string {
  if (job.type !== "queued") return ": waiting\n\n";
  const about = job.etaMs === null ? "" : `, about ${Math.ceil(job.etaMs / 1_000)} s`;
  return `: waiting, position ${job.position}${about}\n\n`;
}

function delay(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
