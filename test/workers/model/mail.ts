/** The queue between relays and the log, in the hands of a test: it delivers what was sent when and as often as it likes. */

import { createMessageBatch } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, vi } from "vitest";
import type { JobId } from "../../../core/ids.ts";
import { handleQueue } from "../../../queues/index.ts";

interface Letter {
  readonly id: string;
  readonly timestamp: number;
  readonly text: string;
}

export class Mail {
  /** Whether the queue can be reached. */
  isUp = true;
  /** Everything that was ever sent, and what of it must still be delivered. */
  readonly sent: Letter[] = [];
  #waiting: Letter[] = [];

  /** Takes the queue's place for every producer. */
  intercept(onChange: () => void): void {
    vi.spyOn(Object.getPrototypeOf(env.RECEIPTS) as Queue, "send").mockImplementation((body) => {
      onChange();
      if (!this.isUp) return Promise.reject(new Error("the queue is away"));
      const letter = { id: `letter ${this.sent.length}`, timestamp: Date.now(), text: JSON.stringify(body) };
      this.sent.push(letter);
      this.#waiting.push(letter);
      return Promise.resolve({} as QueueSendResponse);
    });
  }

  /** Whether the queue was given a job's receipt. */
  has(job: JobId): boolean {
    return this.sent.some(({ text }) => text.includes(job));
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Delivers a batch of `count` letters: the ones that wait from `from` on, in turn, and one that may have come before. With
   * `again` all of them will come again.
   */
  async deliver(count: number, from: number, again: boolean): Promise<void> {
    const start = this.#waiting.length === 0 ? 0 : from % this.#waiting.length;
    const turned = [...this.#waiting.slice(start), ...this.#waiting.slice(0, start)];
    const batch = turned.slice(0, count);
    const earlier = this.sent[from % Math.max(1, this.sent.length)];
    await this.#handle(earlier === undefined ? batch : [...batch, earlier]);
    if (!again) this.#waiting = this.#waiting.filter((letter) => !batch.includes(letter));
  }

  async deliverAll(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    await this.#handle(batch);
  }

  async #handle(letters: readonly Letter[]): Promise<void> {
    if (letters.length === 0) return;
    const batch = createMessageBatch(
      "receipts",
      letters.map(({ id, timestamp, text }) => ({ id, timestamp, attempts: 1, body: JSON.parse(text) as unknown })),
    );
    expect(await handleQueue(batch, env, Date.now())).toMatchObject({ refused: 0, error: null });
  }
}
