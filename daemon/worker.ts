/**
 * The GPU worker: one engine, one key, one session with the network.
 *
 *     starting → serving    the models are measured and the session begins
 *     serving  → draining   the first signal: no new jobs, the running ones end, their claims are answered
 *     serving | draining → stopped
 */

import type { Offer, RelayMessage, Welcome } from "../protocol/daemon/messages.ts";
import type { ClaimStore } from "./claims/store.ts";
import type { Engine } from "./engines/engine.ts";
import type { ServeOptions } from "./engines/served-models.ts";
import { reasonOf } from "./failure.ts";
import type { Hardware } from "./hardware/probe.ts";
import type { Identity } from "./identity/key-file.ts";
import type { Channel } from "./jobs/channel.ts";
import type { FlushParameters } from "./jobs/flush-policy.ts";
import { JobDesk } from "./jobs/job-desk.ts";
import { Offering } from "./offering.ts";
import type { Log } from "./output/log.ts";
import { Session, type SessionEnd, type SessionOptions } from "./session/session.ts";

export interface WorkerOptions {
  readonly url: string;
  readonly identity: Identity;
  readonly engine: Engine;
  readonly claims: ClaimStore;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly hardware: Hardware;
  readonly usdPerKwh: number;
  readonly accepts: Offer["accepts"];
  /** Private networks that it serves besides the open lanes. */
  readonly networks: readonly string[];
  readonly serve: ServeOptions;
  readonly backoff?: NonNullable<SessionOptions["backoff"]>;
  /** How often the engine is asked what it serves, and how long a claim waits for its answer before it is sent again. */
  readonly pace?: { readonly checkMs: number; readonly overdueMs: number };
}

type Mode = "starting" | "serving" | "draining" | "stopped";

const PACE = { checkMs: 30_000, overdueMs: 60_000 };
/** At most one report of load in this time: every message wakes a relay. */
const STATUS_MS = 5_000;
/** How long a draining daemon waits for its last claims to be answered; they stay on disk after that. */
const SETTLE_MS = 30_000;

export class Worker {
  readonly #options: WorkerOptions;
  readonly #session: Session;
  readonly #desk: JobDesk;
  readonly #offering: Offering;
  #mode: Mode = "starting";
  #flush: FlushParameters | null = null;
  #statusTimer: NodeJS.Timeout | undefined;
  #reportedLoad = 0;

  constructor(options: WorkerOptions) {
    const { url, identity, log, engine, claims, serve, now, backoff, hardware, usdPerKwh, accepts } = options;
    this.#options = options;
    const terms = { hardware, usd_per_kwh: usdPerKwh, accepts, networks: [...options.networks] };
    this.#offering = new Offering({ engine, log, now, serve, terms });
    this.#session = new Session({
      url,
      identity,
      log,
      now,
      ...(backoff === undefined ? {} : { backoff }),
      events: {
        online: (welcome, channel) => this.#online(welcome, channel),
        offline: (channel) => this.#offline(channel),
        message: (message, channel) => this.#receive(message, channel),
      },
    });
    this.#desk = new JobDesk({
      engine,
      identity,
      claims,
      log,
      now,
      slots: serve.slots,
      models: () => this.#offering.models,
      onLoad: () => this.#reportLoad(),
      channel: () => this.#session.channel,
    });
  }

  /** Chooses and measures the models. Throws a {@link Failure} when there is nothing to serve. */
  prepare(): Promise<void> {
    return this.#offering.prepare();
  }

  /** Serves until it is drained, stopped, or refused for good. */
  async run(): Promise<SessionEnd> {
    this.#enter("serving");
    const { checkMs, overdueMs } = this.#options.pace ?? PACE;
    const check = setInterval(() => void this.#check(), checkMs);
    const overdue = setInterval(() => this.#resendOverdue(overdueMs), overdueMs / 4);
    try {
      return await this.#session.run();
    } finally {
      clearInterval(check);
      clearInterval(overdue);
      clearTimeout(this.#statusTimer);
      this.#enter("stopped");
    }
  }

  /** Takes no new jobs, ends the running ones, waits for their claims to be answered, and stops. */
  async drain(): Promise<void> {
    if (this.#mode !== "serving") return;
    this.#enter("draining");
    const { log, claims } = this.#options;
    log.info("draining", { running: this.#desk.running, claims: claims.waiting.length });
    this.#session.channel?.send({ type: "drain" });
    await this.#desk.drain();
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(() => timeout.resolve(), SETTLE_MS);
    await Promise.race([this.#desk.settled(), timeout.promise]);
    clearTimeout(timer);
    if (claims.waiting.length > 0) {
      log.warning("claims_wait", { claims: claims.waiting.length, hint: "they are sent at the next start" });
    }
    this.#session.stop();
  }

  /** Ends at once; what runs is lost. */
  stop(): void {
    this.#desk.abort();
    this.#session.stop();
  }

  #enter(mode: Mode): void {
    if (this.#mode !== "stopped") this.#mode = mode;
  }

  #online(welcome: Welcome, channel: Channel): void {
    const { log } = this.#options;
    const { flush_first_ms, flush_ms, flush_tokens } = welcome.parameters;
    this.#flush = { firstMs: flush_first_ms, ms: flush_ms, tokens: flush_tokens };
    log.info("connected", { session: welcome.session, relay: welcome.relay });
    for (const { level, text } of welcome.messages) log[level]("message_from_network", { text });
    this.#reportedLoad = 0;
    this.#offering.begin(channel);
    if (this.#mode === "draining") channel.send({ type: "drain" });
    this.#desk.resend(channel);
  }

  #offline(channel: Channel): void {
    // The consumers of these streams have been told that they broke; going on would only heat the room.
    this.#desk.abort(channel);
  }

  #receive(message: RelayMessage, channel: Channel): void {
    const { log } = this.#options;
    if (message.type === "message") log[message.level]("message_from_network", { text: message.text });
    else if (message.type === "error") {
      if (message.code === "internal_error") this.#offering.networkTrouble();
    } else if (message.type !== "job") this.#desk.handle(message, channel).catch((error: unknown) => this.#bug(error));
    else if (this.#flush !== null) {
      log.info("job", { job: message.job, model: message.model, lane: message.lane });
      this.#desk.take(message, channel, this.#flush).catch((error: unknown) => this.#bug(error));
    }
  }

  async #check(): Promise<void> {
    try {
      await this.#offering.check(() => this.#session.channel);
    } catch (error) {
      this.#bug(error);
    }
  }

  #resendOverdue(overdueMs: number): void {
    const channel = this.#session.channel;
    if (channel !== null) this.#desk.resendOverdue(channel, overdueMs);
  }

  #reportLoad(): void {
    this.#statusTimer ??= setTimeout(() => {
      this.#statusTimer = undefined;
      const load = Math.min(1, this.#desk.running / this.#options.serve.slots);
      if (load === this.#reportedLoad) return;
      if (this.#session.channel?.send({ type: "status", load, queue: 0 }) === true) this.#reportedLoad = load;
    }, STATUS_MS).unref();
  }

  /** An exception that nobody expected must not end a daemon that serves other jobs. */
  #bug(error: unknown): void {
    this.#options.log.error("internal_error", {
      name: error instanceof Error ? error.name : "unknown",
      reason: reasonOf(error),
    });
  }
}
