/** One call of a consumer, and what became of it as the consumer saw it. */

import type { JobId } from "../../../core/ids.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { eventsOf, call as fetchNetwork, type TestAccount, withKey } from "../job/network.ts";
import type { History, Moment } from "./history.ts";
import { type Asked, MODEL } from "./prices.ts";

export type Outcome =
  | { readonly type: "answer"; readonly millicredits: number; readonly texts: string[] }
  | { readonly type: "refused"; readonly status: number; readonly code: string }
  /** The answer never came, or broke off. */
  | { readonly type: "broken" };

interface Chunk {
  readonly choices: readonly {
    readonly index: number;
    readonly delta?: { readonly content?: string };
    readonly message?: { readonly content: string };
  }[];
  readonly usage?: { readonly cost: string };
  readonly error?: { readonly code: string };
}

export class Call {
  readonly owner: TestAccount;
  readonly asked: Asked;
  /** SHA-256 of its body, as the account knows it. */
  readonly body: string;
  readonly started: Moment;
  aborted: Moment | null = null;
  job: JobId | null = null;
  outcome: Outcome | null = null;
  ended: Moment | null = null;
  readonly #history: History;
  readonly #gone = new AbortController();

  constructor(history: History, owner: TestAccount, asked: Asked, onChange: () => void) {
    this.#history = history;
    this.owner = owner;
    this.asked = asked;
    this.started = history.now();
    const body = JSON.stringify(bodyOf(asked));
    this.body = hashText(body);
    const ended = this.#make(body, onChange).catch((): Outcome => ({ type: "broken" }));
    void ended.then((outcome) => {
      this.outcome = outcome;
      this.ended = history.now();
      onChange();
    });
  }

  /** The consumer goes away. */
  abort(): void {
    this.aborted ??= this.#history.now();
    this.#gone.abort();
  }

  async #make(body: string, onChange: () => void): Promise<Outcome> {
    const { key } = this.asked;
    const headers = { "content-type": "application/json", ...(key === null ? {} : { "idempotency-key": key }) };
    const response = await fetchNetwork("/v1/chat/completions", {
      method: "POST",
      body,
      ...withKey(this.owner.apiKey, headers),
      signal: this.#gone.signal,
    });
    this.job = response.headers.get("x-job-id") as JobId | null;
    onChange();
    const text = await response.text();
    if (response.headers.get("content-type")?.startsWith("text/event-stream") === true) return this.#streamed(text);
    const whole = JSON.parse(text) as Chunk;
    if (whole.error !== undefined) return { type: "refused", status: response.status, code: whole.error.code };
    return {
      type: "answer",
      texts: whole.choices.map(({ message }) => message?.content ?? ""),
      millicredits: millicredits(whole),
    };
  }

  #streamed(text: string): Outcome {
    const events = eventsOf(text);
    if (events.pop() !== "[DONE]") return { type: "broken" };
    const chunks = events.map((event) => JSON.parse(event) as Chunk);
    const error = chunks.find((chunk) => chunk.error !== undefined)?.error;
    if (error !== undefined) return { type: "refused", status: 200, code: error.code };
    const texts = Array.from({ length: this.asked.choices }, () => "");
    for (const { index, delta } of chunks.flatMap(({ choices }) => choices)) {
      texts[index] = (texts[index] ?? "") + (delta?.content ?? "");
    }
    return { type: "answer", texts, millicredits: millicredits(chunks.at(-1)) };
  }
}

function bodyOf({ content, stream, cap, choices }: Asked): object {
  return {
    model: MODEL.id,
    messages: [{ role: "user", content }],
    n: choices,
    ...(cap === null ? {} : { max_completion_tokens: cap }),
    ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
  };
}

function millicredits(last: Chunk | undefined): number {
  return Math.round(Number(last?.usage?.cost) * 1_000);
}
