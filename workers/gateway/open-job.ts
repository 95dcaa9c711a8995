/**
 * From a hold to a stream: acquire a daemon, hand the job to its relay, and move on to another daemon when the first one
 * declined or failed before its first token (economics.md §6), or ask another one beside it when that takes too long
 * (§9). Whoever has the job ends its hold; what comes back here unresolved is ended here.
 */

import { type Refusal, refuse } from "../../core/errors.ts";
import type { AccountId, DaemonId, JobId } from "../../core/ids.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import { within } from "../../durable-objects/shared/within.ts";
import type { AcquireRequest, Grant, RelayJob } from "../../protocol/internal/job.ts";
import { regionOf } from "../../protocol/internal/names.ts";
import type { Config } from "../config.ts";
import { onHolder, onRelay, onScheduler } from "../objects.ts";
import { acquire, askPool } from "./acquire.ts";
import { type Attempt, type AttemptEnd, begin } from "./attempts.ts";

export type Opened =
  /** The relay's answer, to be passed on untouched. */
  | { readonly type: "answer"; readonly response: Response; readonly grant: Grant }
  | {
      readonly type: "refused";
      readonly refusal: Refusal;
      readonly retryAfterSeconds: number | null;
      /** The last grant, if there was one. */
      readonly grant: Grant | null;
    };

type Refused = Extract<Opened, { type: "refused" }>;

export interface JobToOpen {
  readonly acquire: Omit<AcquireRequest, "excluded" | "beside" | "after">;
  readonly relay: Omit<RelayJob, "grant" | "firstDispatchedAt" | "race">;
  readonly account: AccountId;
  /** How often another daemon may be asked before the first token. */
  readonly moves: number;
  /** How long one may take to its first token before another one is asked beside it. */
  readonly firstTokenMs: number;
}

/**
 * Opens a job for a consumer to whom a region is nearest. Never throws; an error on the way becomes a refusal. When the consumer goes away the request ends at once,
 * so the caller has to keep this alive: it returns only when a relay has the job, or its hold is released.
 */
export async function openJob(
  env: Env,
  config: Config,
  nearest: string,
  job: JobToOpen,
  signal: AbortSignal,
): Promise<Opened> {
  return await new Opening(env, config, nearest, job, signal).run();
}

/** One job's way to its answer: at most two attempts at a time, and after the first one as many as it has moves. */
class Opening {
  readonly #env: Env;
  readonly #config: Config;
  readonly #nearest: string;
  readonly #job: JobToOpen;
  readonly #signal: AbortSignal;
  readonly #running = new Set<Attempt>();
  readonly #excluded: DaemonId[] = [];
  #firstDispatchedAt: number | null = null;
  #grant: Grant | null = null;
  /** Attempts that were begun, without those that a daemon had no slot for. */
  #asked = 0;
  /** Whether a daemon was granted before: the account then has to know which grant counts. */
  #granted = false;
  /** The second attempt that is about to begin; null while none is. */
  #beginning: Promise<null> | null = null;
  #isOver = false;

  constructor(env: Env, config: Config, nearest: string, job: JobToOpen, signal: AbortSignal) {
    this.#env = env;
    this.#config = config;
    this.#nearest = nearest;
    this.#job = job;
    this.#signal = signal;
  }

  async run(): Promise<Opened> {
    try {
      return await this.#open();
    } catch (error) {
      const left = this.#signal.aborted;
      if (!left) emitError("job_failed", error, { job: this.#id });
      // A relay that has the job charges what it has served; of two that race for it, one does.
      if (left && (await this.#stop())) return this.#refusedWith(refuse("cancelled"));
      return await this.#giveUp(refuse(left ? "cancelled" : "internal_error"));
    } finally {
      this.#isOver = true;
      for (const attempt of this.#running) attempt.giveUp();
    }
  }

  get #id(): JobId {
    return this.#job.acquire.job;
  }

  async #open(): Promise<Opened> {
    for (;;) {
      this.#signal.throwIfAborted();
      if (this.#running.size === 0) await this.#beginning;
      const refused = this.#running.size === 0 ? await this.#dispatch() : null;
      if (refused !== null) return refused;
      const end = await this.#next();
      if (end === null) continue;
      const { attempt } = end;
      this.#running.delete(attempt);
      if (end.type === "answered") return { type: "answer", response: end.response, grant: attempt.grant };
      const { refusal, move, busy = false, resolved } = end.answer;
      if (resolved) return this.#refusedWith(refusal);
      if (busy) this.#asked -= 1;
      else this.#excluded.push(attempt.grant.daemon);
      // As long as another attempt runs, it may still answer.
      if (busy || this.#running.size > 0) continue;
      if (!move || !this.#hasMoves) return await this.#giveUp(refusal);
    }
  }

  get #hasMoves(): boolean {
    return this.#asked <= this.#job.moves;
  }

  /** Waits for the job's turn, and brings it to a relay. */
  async #dispatch(): Promise<Opened | null> {
    const { response, repeated } = await acquire(
      this.#env,
      this.#config,
      this.#nearest,
      this.#request(null),
      this.#signal,
    );
    if (response.type === "refused") {
      // A job that had a daemon and lost it says so, rather than that nobody else is there.
      const refusal = this.#excluded.length > 0 ? refuse("provider_failed") : response.refusal;
      return await this.#giveUp(refusal, response.retryAfterSeconds, response.slotSince);
    }
    const { grant } = response;
    this.#grant = grant;
    // An earlier attempt, which may still be alive somewhere, has no say any more.
    const isFirst = !this.#granted && !repeated;
    this.#granted = true;
    if (!isFirst && !(await this.#takeOver(grant.fence))) {
      return this.#refusedWith(refuse("job_expired"));
    }
    this.#signal.throwIfAborted();
    this.#begin(grant, null);
    return null;
  }

  #begin(grant: Grant, race: number | null): void {
    this.#grant = grant;
    this.#asked += 1;
    this.#firstDispatchedAt ??= grant.dispatchedAt;
    const job = { ...this.#job.relay, grant, race, firstDispatchedAt: this.#firstDispatchedAt };
    this.#running.add(begin(this.#env, job, this.#signal, Date.now() + this.#job.firstTokenMs));
  }

  /**
   * The next end of an attempt. Where one runs alone and takes too long another one begins beside it meanwhile; null when it
   * has begun, or could not.
   */
  async #next(): Promise<AttemptEnd | null> {
    const [first, second] = this.#running;
    const ends = Promise.race([...this.#running].map(({ end }) => end));
    if (first === undefined || second !== undefined || !this.#hasMoves) return await ends;
    if (first.besideAt === Number.POSITIVE_INFINITY) return await ends;
    const end = await within(first.besideAt - Date.now(), ends);
    if (end !== null) return end;
    this.#beginning ??= this.#tryBeside(first);
    return await Promise.race([ends, this.#beginning]);
  }

  async #tryBeside(slow: Attempt): Promise<null> {
    await this.#beginBeside(slow).catch((error: unknown) =>
      emitError("second_dispatch_failed", error, { job: this.#id }),
    );
    this.#beginning = null;
    return null;
  }

  /**
   * Asks another daemon beside one that has shown nothing for too long. That one's relay agrees first: from then on nothing
   * of either attempt is shown, and no hold ends, before the scheduler has said which of them has won (docs/decisions/0059).
   */
  async #beginBeside(slow: Attempt): Promise<void> {
    const { relay, fence, daemon } = slow.grant;
    slow.besideAt = Date.now() + this.#job.firstTokenMs;
    if (!(await onRelay(this.#env, relay, (object) => object.contest(this.#id, fence)))) {
      // It has begun to answer, or has ended.
      slow.besideAt = Number.POSITIVE_INFINITY;
      return;
    }
    slow.race ??= fence;
    const request = this.#request({ race: slow.race, daemon });
    const { response } = await askPool(this.#env, regionOf(relay), request, this.#signal, 1);
    // Where no other daemon is free the first one goes on, and another one is looked for again later.
    if (response.type !== "granted") return;
    if (this.#isOver) await this.#giveBack(response.grant);
    else this.#begin(response.grant, slow.race);
  }

  /** Frees the slot of a second daemon that is not needed any more. */
  async #giveBack({ relay, fence }: Grant): Promise<void> {
    const { job, model } = this.#job.acquire;
    const shown = { effect: "unchanged", speed: null } as const;
    const report = { type: "ended", job, fence, result: "busy", tokens: null, ...shown } as const;
    await onScheduler(this.#env, regionOf(relay), model, (scheduler) => scheduler.report(relay, [report]));
  }

  #request(beside: { readonly race: number; readonly daemon: DaemonId } | null): AcquireRequest {
    const excluded = beside === null ? this.#excluded : [...this.#excluded, beside.daemon];
    return { ...this.#job.acquire, excluded, beside: beside?.race ?? null, after: this.#grant?.fence ?? 0 };
  }

  /** Whether an attempt may be made: its account knows it as the one that counts. */
  async #takeOver(fence: number): Promise<boolean> {
    if (this.#isFree) return true;
    return await onHolder(this.#env, this.#job.account, this.#id, (holder) => holder.advance(this.#id, fence));
  }

  /** Nothing is held for a job on an own device. */
  get #isFree(): boolean {
    return this.#job.acquire.lane === null;
  }

  /**
   * Stops the job at its relays. False when none has it: it had just been given back, or never come. A relay that cannot be
   * asked may have it; what it has lost, its daemon or the scheduler brings to an end.
   */
  async #stop(): Promise<boolean> {
    const asked = [...this.#running].map(({ grant }) =>
      onRelay(this.#env, grant.relay, (object) => object.cancel(this.#id)).catch(() => true),
    );
    return (await Promise.all(asked)).includes(true);
  }

  async #giveUp(refusal: Refusal, retryAfterSeconds: number | null = null, slotSince?: number): Promise<Refused> {
    const { code } = refusal;
    const reason = code === "cancelled" ? "consumer_gone" : code;
    if (!this.#isFree) await releaseHold(this.#env, this.#job.account, this.#id, reason, slotSince);
    return this.#refusedWith(refusal, retryAfterSeconds);
  }

  #refusedWith(refusal: Refusal, retryAfterSeconds: number | null = null): Refused {
    return { type: "refused", refusal, retryAfterSeconds, grant: this.#grant };
  }
}

/** Ends the hold of a job that nobody has. `slotSince` is since when it waited in a reserved slot, if it did. */
export async function releaseHold(
  env: Env,
  account: AccountId,
  job: JobId,
  reason: string,
  slotSince: number | null = null,
): Promise<void> {
  await onHolder(env, account, job, (holder) => holder.void(job, reason, null, slotSince)).catch(
    // The hold then ends by its own time; nothing is charged either way.
    (error: unknown) => emitError("void_failed", error, { job }),
  );
}
