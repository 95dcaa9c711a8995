/**
 * One job from its acceptance to its end: reads the engine, cuts frames, and says how it ended.
 *
 *     running ⇄ paused          pause, resume; the engine is not read while paused
 *     running | paused → ended  the engine finished or failed; `stop` (cancel, deadline, abort)
 */

import type { Job } from "../../protocol/daemon/messages.ts";
import {
  type Engine,
  EngineError,
  type EngineEvent,
  type EnginePiece,
  type EngineRequest,
  type FinishReason,
} from "../engines/engine.ts";
import type { Channel } from "./channel.ts";
import { type FlushParameters, flushDelay } from "./flush-policy.ts";
import { FrameCutter } from "./frame-cutter.ts";
import { Gate } from "./gate.ts";

/** Why a job is stopped from outside: its consumer left, its time is over, or the connection or the daemon goes away. */
export type StopReason = "cancelled" | "deadline" | "aborted";

type EndReason = FinishReason | "cancelled";

export type JobEnd =
  | {
      readonly type: "answered";
      /** One for each choice; what ends a job from outside ends all of them. */
      readonly finishReasons: readonly EndReason[];
      /** `prompt` is an estimate where the engine did not tell it before the job ended. */
      readonly usage: { readonly prompt: number; readonly completion: number };
      /** Of exactly the payload bytes that were sent, hex. */
      readonly digest: string;
    }
  | { readonly type: "failed"; readonly code: string; readonly message: string }
  | { readonly type: "aborted" };

export interface RunningJobOptions {
  readonly job: Job;
  readonly request: EngineRequest;
  /** What the prompt is claimed to have, in tokens, if the engine never tells. */
  readonly promptEstimate: number;
  readonly engine: Engine;
  readonly channel: Channel;
  readonly flush: FlushParameters;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

type Step = { readonly event: IteratorResult<EngineEvent> } | { readonly stop: StopReason };

export class RunningJob {
  readonly #options: RunningJobOptions;
  readonly #cutter: FrameCutter;
  readonly #engineSignal = new AbortController();
  readonly #stopped = Promise.withResolvers<{ readonly stop: StopReason }>();
  readonly #gate = new Gate();
  #flushed: { first: number | null; last: number | null } = { first: null, last: null };
  #flushTimer: NodeJS.Timeout | undefined;
  #ended = false;
  #promptTokens: number | null = null;
  /** Completion tokens that the engine has given to each choice. */
  readonly #given: number[];

  constructor(options: RunningJobOptions) {
    const { job, request, engine } = options;
    this.#options = options;
    this.#given = Array.from({ length: request.choices }, () => 0);
    this.#cutter = new FrameCutter({
      stream: job.stream,
      salt: Uint8Array.from(Buffer.from(job.salt, "hex")),
      choices: request.choices,
      holdBack: !engine.countsExactly,
    });
  }

  pause(): void {
    this.#gate.close();
  }

  resume(): void {
    this.#gate.open();
  }

  /** Ends the job; only the first reason counts. */
  stop(reason: StopReason): void {
    this.#stopped.resolve({ stop: reason });
    this.#engineSignal.abort();
  }

  /** Runs the job to its end. Never throws. */
  async run(): Promise<JobEnd> {
    const { job, now, engine, request } = this.#options;
    // A timer longer than 2^31 ms would fire at once.
    const left = Math.min(Math.max(0, job.deadline - now()), 2 ** 31 - 1);
    const deadline = setTimeout(() => this.stop("deadline"), left);
    const events = engine.generate(request, this.#engineSignal.signal)[Symbol.asyncIterator]();
    try {
      return await this.#read(events);
    } catch (error) {
      return failure(error);
    } finally {
      this.#ended = true;
      clearTimeout(deadline);
      clearTimeout(this.#flushTimer);
      this.#engineSignal.abort();
      // The engine may take its time to stop; nobody waits for it, and what it still says is dropped.
      events.return?.().catch(() => undefined);
    }
  }

  async #read(events: AsyncIterator<EngineEvent>): Promise<JobEnd> {
    for (;;) {
      const step = await this.#next(events);
      if ("stop" in step) return this.#endStopped(step.stop);
      if (step.event.done) throw new EngineError("engine_error", "The engine's answer broke off.");
      const event = step.event.value;
      if (event.type === "prompt") this.#promptTokens = event.tokens;
      else if (event.type === "end") return await this.#endAnswered(event.finishReasons, event.usage);
      else if (!this.#accept(event)) return await this.#endAnswered(this.#all("length"), null);
    }
  }

  /** The engine's next event, unless the job is stopped before. A paused job does not ask for one. */
  async #next(events: AsyncIterator<EngineEvent>): Promise<Step> {
    const open = async (): Promise<null> => {
      await this.#gate.passed();
      await this.#options.channel.writable();
      return null;
    };
    const stop = await Promise.race([this.#stopped.promise, open()]);
    if (stop !== null) return stop;
    const next = events.next().then((event) => ({ event }));
    // If the job stops first, a late failure of the engine belongs to nobody.
    next.catch(() => undefined);
    return await Promise.race([this.#stopped.promise, next]);
  }

  /** Takes a piece in; false when its choice has passed the cap, so that the engine has to be stopped. */
  #accept(piece: EnginePiece): boolean {
    const given = (this.#given[piece.choice] ?? 0) + piece.tokens;
    if (given > this.#options.request.completionCap) return false;
    this.#given[piece.choice] = given;
    this.#cutter.push(piece);
    this.#schedule();
    return true;
  }

  /** Sends what is due, or sets the timer for it. */
  #schedule(): void {
    clearTimeout(this.#flushTimer);
    // A pause may be lifted after the job was cancelled.
    if (this.#ended) return;
    const ready = this.#cutter.ready;
    if (ready.bytes === 0) return;
    const delay = flushDelay(this.#flushed, ready, this.#options.flush, this.#options.now());
    if (delay > 0) {
      this.#flushTimer = setTimeout(() => this.#schedule(), delay);
    } else if (this.#gate.isOpen) {
      this.#send(this.#cutter.take());
    } else {
      void this.#gate.passed().then(() => this.#schedule());
    }
  }

  #send(frames: readonly Uint8Array[]): void {
    if (frames.length === 0) return;
    for (const frame of frames) this.#options.channel.sendFrame(frame);
    const now = this.#options.now();
    this.#flushed = { first: this.#flushed.first ?? now, last: now };
  }

  async #endAnswered(
    finishReasons: readonly FinishReason[],
    usage: { prompt: number; completion: number } | null,
  ): Promise<JobEnd> {
    // A reader that has asked for a pause gets the rest when it is ready, or not at all.
    const stop = await Promise.race([this.#stopped.promise, this.#gate.passed()]);
    if (stop !== undefined) return this.#endStopped(stop.stop);
    if (usage !== null) this.#promptTokens = usage.prompt;
    const end = this.#answered(finishReasons, this.#cutter.finish(usage?.completion ?? null));
    if (end.type !== "answered" || usage === null || usage.completion >= end.usage.completion) return end;
    // Frames have gone out with more tokens than the engine says there were; what it says is what is claimed.
    return { ...end, usage: { ...end.usage, completion: usage.completion } };
  }

  #endStopped(reason: StopReason): JobEnd {
    if (reason === "aborted") return { type: "aborted" };
    // Who cancelled reads no more, so what is still pending is neither sent nor claimed.
    if (reason === "cancelled") return this.#answered(this.#all("cancelled"), []);
    return this.#answered(this.#all("length"), this.#cutter.finish(null));
  }

  #all<Reason extends EndReason>(reason: Reason): Reason[] {
    return Array.from({ length: this.#options.request.choices }, () => reason);
  }

  #answered(finishReasons: readonly EndReason[], frames: readonly Uint8Array[]): JobEnd {
    this.#send(frames);
    const prompt = this.#promptTokens ?? this.#options.promptEstimate;
    const usage = { prompt, completion: this.#cutter.sentTokens };
    return { type: "answered", finishReasons, usage, digest: this.#cutter.digest };
  }
}

function failure(error: unknown): JobEnd {
  if (error instanceof EngineError) return { type: "failed", code: error.code, message: error.message };
  // Anything else may quote what it was given.
  return { type: "failed", code: "engine_error", message: "The engine broke the rules of its interface." };
}
