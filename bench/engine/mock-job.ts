/** One job as the mock daemon has it: played at its times, claimed when it ends or is cancelled. */

import { hexToBytes, utf8ToBytes } from "../../core/receipt/canonical.ts";
import { claimBytes } from "../../core/receipt/claim.ts";
import { ResponseDigest } from "../../core/receipt/digest.ts";
import { encodeFrame } from "../../protocol/daemon/frames.ts";
import type { Done, Job } from "../../protocol/daemon/messages.ts";
import { type Piece, type Playing, piecesOf, planOf, play } from "./answer.ts";
import type { MockIdentity } from "./identity.ts";

const PROMPT_TOKENS = 8;

/** What a job says to its daemon. */
export interface MockJobEvents {
  frame(bytes: Uint8Array): void;
  /** The job is over, with the claim for what was sent. */
  ended(claim: Done): void;
}

export class MockJob {
  readonly job: Job;
  readonly #identity: MockIdentity;
  readonly #events: MockJobEvents;
  readonly #digest: ResponseDigest;
  #playing: Playing | null = null;
  #completion = 0;
  #over = false;

  constructor(job: Job, identity: MockIdentity, events: MockJobEvents) {
    this.job = job;
    this.#identity = identity;
    this.#events = events;
    this.#digest = new ResponseDigest(hexToBytes(job.salt), 1);
  }

  start(): void {
    this.#playing = play(
      piecesOf(planOf(this.job.request)),
      (piece) => this.#send(piece),
      () => this.#end("stop"),
      () => this.#over,
    );
  }

  pause(): void {
    this.#playing?.pause();
  }

  resume(): void {
    this.#playing?.resume();
  }

  /** Stops, and claims what was sent until now. */
  cancel(): void {
    this.#end("cancelled");
  }

  /** Stops without a word: its connection has gone. */
  abandon(): void {
    this.#over = true;
  }

  /** The daemon's signed word on what was sent until now; it names no stream. */
  claim(finishReason: Done["finish_reason"]): Done {
    const { job, fence, model, ticket, salt, request_digest: request } = this.job;
    const digest = { request, response: this.#digest.hex(), salt };
    const claim = { job, fence, model, usage: { prompt: PROMPT_TOKENS, completion: this.#completion }, digest };
    const signature = this.#identity.sign(claimBytes({ ...claim, daemon: this.#identity.id }));
    return { type: "done", ticket, ...claim, finish_reason: finishReason, signature };
  }

  #send({ text, tokens }: Piece): void {
    const payload = utf8ToBytes(text);
    this.#digest.update(0, 0, payload);
    this.#completion += tokens;
    this.#events.frame(encodeFrame({ stream: this.job.stream, kind: 0, choice: 0, tokens, payload }));
  }

  #end(reason: Done["finish_reason"]): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.ended(this.claim(reason));
  }
}
