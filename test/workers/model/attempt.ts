/** One job on one daemon, as the daemon has it: what it said, in order, and what it was told. */

import type { JobId } from "../../../core/ids.ts";
import type { Tokens } from "../../../core/pricing.ts";
import type { Done } from "../../../protocol/daemon/messages.ts";
import type { ScriptedDaemon, ScriptedJob } from "../../support/scripted-daemon.ts";
import type { History, Moment } from "./history.ts";

interface Frame extends Moment {
  readonly text: string;
  readonly tokens: number;
  readonly choice: number;
}

/** The word with which the daemon ended its part. */
export type Word =
  | ({ readonly type: "claim"; readonly good: boolean; readonly usage: Tokens } & Moment)
  | ({ readonly type: "failed"; readonly code: string } & Moment)
  | ({ readonly type: "declined" } & Moment);

/** How a claim tells the truth, or what it lies about. */
export const CLAIMS = ["true", "more", "less", "digest", "request", "fence", "model", "signature"] as const;
export type ClaimKind = (typeof CLAIMS)[number];

const OTHER_HASH = "00".repeat(32);

export class Attempt {
  readonly job: JobId;
  readonly fence: number;
  readonly ticket: string;
  readonly connection: ScriptedDaemon;
  readonly received: Moment;
  readonly frames: Frame[] = [];
  /** How many frames the relay had surely taken at some moments. */
  readonly confirmed: (Moment & { readonly frames: number })[] = [];
  /** Since when the relay takes it for accepted. */
  accepted: Moment | null = null;
  word: Word | null = null;
  /** When the daemon was told to stop. */
  stopped: Moment | null = null;
  /** When its connection was lost, or its relay. */
  gone: Moment | null = null;
  /** Whether nobody is left who could tell the next relay of it. */
  isForgotten = false;
  readonly #history: History;
  readonly #scripted: ScriptedJob;

  constructor(history: History, scripted: ScriptedJob) {
    const { job, daemon } = scripted;
    this.#history = history;
    this.#scripted = scripted;
    this.job = job.job;
    this.fence = job.fence;
    this.ticket = job.ticket;
    this.connection = daemon;
    this.received = history.now();
  }

  /** Whether the daemon has a say in it still. */
  get isLive(): boolean {
    return this.word === null && this.gone === null;
  }

  get choices(): number {
    return Number(this.#scripted.job.request.n ?? 1);
  }

  get stream(): number {
    return this.#scripted.job.stream;
  }

  accept(): void {
    this.#scripted.accept();
    this.accepted ??= this.#history.now();
  }

  say(text: string, tokens: number, choice: number): void {
    this.#scripted.text(text, tokens, choice);
    const moment = this.#history.now();
    this.accepted ??= moment;
    this.frames.push({ text, tokens, choice, ...moment });
  }

  /** The relay has taken so many frames, and the acceptance if it was sent before. */
  confirm(frames: number): void {
    if (this.gone === null) this.confirmed.push({ frames, ...this.#history.now() });
  }

  /** Ends the attempt with a claim, and gives what the daemon keeps until it is answered. */
  claim(kind: ClaimKind): Done {
    const done = this.#scripted.done(...this.#bent(kind));
    const good = kind === "true" || kind === "more" || kind === "less";
    this.word = { type: "claim", good, usage: done.usage, ...this.#history.now() };
    this.accepted ??= this.word;
    const { stream: _, ...kept } = done;
    return kept;
  }

  #bent(kind: ClaimKind): Parameters<ScriptedJob["done"]> {
    const { completion } = this.#scripted;
    const { digest, signature } = this.#scripted.claim({}, { fence: this.fence + 1 });
    switch (kind) {
      case "true":
        return [];
      case "more":
        return [{ usage: { prompt: 1_000_000, completion: 1_000_000 } }];
      case "less":
        return [{ usage: { prompt: 3, completion: Math.floor(completion / 2) } }];
      case "digest":
        return [{}, { digest: { ...digest, response: OTHER_HASH } }];
      case "request":
        return [{}, { digest: { ...digest, request: OTHER_HASH } }];
      case "fence":
        return [{}, { fence: this.fence + 1 }];
      case "model":
        return [{}, { model: "other-model" }];
      default:
        return [{ signature }];
    }
  }

  fail(code: string): void {
    this.#scripted.fail(code);
    this.word = { type: "failed", code, ...this.#history.now() };
  }

  decline(): void {
    this.#scripted.decline();
    this.word = { type: "declined", ...this.#history.now() };
  }
}
