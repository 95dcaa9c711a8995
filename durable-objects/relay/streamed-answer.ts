/** An answer as server-sent events, one chunk a frame, passed on as it comes. */

import type { Refusal } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { RELAY_RESULT } from "../../protocol/internal/job.ts";
import type { StructuredDelta, Usage } from "../../protocol/openai/chat.ts";
import { errorEvent, STREAM_HEADERS, type StreamHead } from "../../protocol/openai/stream.ts";
import type { AnswerSink } from "./answer.ts";

const encoder = new TextEncoder();

export class StreamedAnswer implements AnswerSink {
  readonly #head: StreamHead;
  readonly #includeUsage: boolean;
  readonly #deliver: (response: Response) => void;
  readonly #onDrained: () => void;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #readable: ReadableStream<Uint8Array>;
  /** Everything of a chunk that comes before its choices. */
  readonly #prefix: string;
  readonly #started: boolean[];
  #pending = 0;
  #closed = false;

  /** `deliver` is given the response at the first token, `onDrained` is called whenever the consumer has taken something. */
  constructor(head: StreamHead, includeUsage: boolean, deliver: (response: Response) => void, onDrained: () => void) {
    this.#deliver = deliver;
    this.#head = head;
    this.#includeUsage = includeUsage;
    this.#onDrained = onDrained;
    const { readable, writable } = new IdentityTransformStream();
    this.#readable = readable;
    this.#writer = writable.getWriter();
    this.#prefix = `data: ${JSON.stringify({
      id: head.id,
      object: "chat.completion.chunk",
      created: head.created,
      model: head.model,
    }).slice(0, -1)},"choices":[`;
    this.#started = Array.from({ length: head.choices }, () => false);
  }

  begin(): void {
    this.#deliver(
      new Response(this.#readable, {
        headers: { ...STREAM_HEADERS, [RELAY_RESULT]: "stream" },
      }),
    );
  }

  get pendingBytes(): number {
    return this.#pending;
  }

  text(choice: number, text: string): void {
    this.#delta(choice, `"content":${JSON.stringify(text)}`, "null");
  }

  structured(choice: number, { delta, logprobs }: StructuredDelta): void {
    const fields = JSON.stringify(delta ?? {}).slice(1, -1);
    this.#delta(choice, fields, JSON.stringify(logprobs ?? null));
  }

  #delta(choice: number, fields: string, logprobs: string): void {
    const role = this.#role(choice, fields !== "");
    this.#write(
      `${this.#prefix}{"index":${choice},"delta":{${role}${fields}},"logprobs":${logprobs},"finish_reason":null}]}\n\n`,
    );
  }

  /** The first delta of a choice names its role. */
  #role(choice: number, more: boolean): string {
    if (this.#started[choice]) return "";
    this.#started[choice] = true;
    return `"role":"assistant"${more ? "," : ""}`;
  }

  finish(reasons: readonly string[], usage: Usage): void {
    const ends = this.#started.map(
      (_, choice) =>
        `{"index":${choice},"delta":{${this.#role(choice, false)}},"logprobs":null,"finish_reason":"${reasons[choice]}"}`,
    );
    const last = this.#includeUsage ? `${this.#prefix}],"usage":${JSON.stringify(usage)}}\n\n` : "";
    this.#write(`${this.#prefix}${ends.join(",")}]}\n\n${last}data: [DONE]\n\n`);
    this.#close();
  }

  fail(refusal: Refusal): void {
    this.#write(errorEvent(this.#head, refusal));
    this.#close();
  }

  comment(text: string): void {
    this.#write(`: ${text}\n\n`);
  }

  abort(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writer.abort("consumer stalled").catch(() => {});
  }

  #write(text: string): void {
    if (this.#closed) return;
    const bytes = encoder.encode(text);
    this.#pending += bytes.length;
    this.#writer.write(bytes).then(
      () => {
        this.#pending -= bytes.length;
        this.#onDrained();
      },
      // The consumer has gone; the request's signal says so too, and it is what ends the job.
      () => {
        this.#closed = true;
      },
    );
  }

  /** Ends the stream; a consumer that then takes nothing for as long as it may pause is given up. */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const timer = setTimeout(() => void this.#writer.abort("consumer stalled").catch(() => {}), LIMITS.streamPausedMs);
    this.#writer.close().then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    );
  }
}
