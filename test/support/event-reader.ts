/** Reads server-sent events as they come, by the parser that the daemon uses too. */

import { createParser, type EventSourceMessage } from "eventsource-parser";

export class EventReader {
  readonly events: EventSourceMessage[] = [];
  readonly comments: string[] = [];
  #ended = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #parser = createParser({
    onEvent: (event) => void this.events.push(event),
    onComment: (text) => void this.comments.push(text),
  });
  readonly #utf8 = new TextDecoder();

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  get last(): EventSourceMessage | undefined {
    return this.events.at(-1);
  }

  /** Reads on until something holds. Fails where the stream ends first. */
  async until(condition: () => boolean, what: string): Promise<void> {
    while (!condition()) if (!(await this.#read())) throw new Error(`the stream ended before: ${what}`);
  }

  /** Reads to the stream's end. */
  async end(): Promise<void> {
    while (await this.#read());
  }

  async cancel(): Promise<void> {
    if (!this.#ended) await this.#reader.cancel();
  }

  async #read(): Promise<boolean> {
    const { value, done } = await this.#reader.read();
    if (done) this.#ended = true;
    else this.#parser.feed(this.#utf8.decode(value, { stream: true }));
    return !done;
  }
}
