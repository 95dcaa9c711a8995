/**
 * The GPU worker: one engine, one key, one session with the network.
 *
 *     starting → serving    the models are measured and the session begins
 *     serving  → draining   the first signal: no new jobs, the running ones end, their claims are answered
 *     serving | draining → stopped
 */

import type { Offer, RelayMessage, Thermal, Welcome } from "../protocol/daemon/messages.ts";
import type { ClaimStore } from "./claims/store.ts";
import { Conditions } from "./conditions/conditions.ts";
import type { GateRules } from "./conditions/gates.ts";
import type { Reader } from "./conditions/machine.ts";
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
import { Notices } from "./session/notices.ts";
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
  /** What it asks at least, as a multiple of what its power costs; the network's where it does not say. */
  readonly margin?: number;
  /** Private networks that it serves besides the open lanes. */
  readonly networks: readonly string[];
  readonly serve: ServeOptions;
  /** When the daemon takes jobs, and what tells of the machine. */
  readonly gates: { readonly rules: GateRules; readonly read: Reader };
  readonly backoff?: NonNullable<SessionOptions["backoff"]>;
  /**
   * How often the engine is asked what it serves, how long a claim waits for its answer before it is sent again, and how
   * often clock and machine are looked at.
   */
  readonly pace?: { readonly checkMs: number; readonly overdueMs: number; readonly lookMs: number };
}

type Mode = "starting" | "serving" | "draining" | "stopped";

const PACE = { checkMs: 30_000, overdueMs: 60_000, lookMs: 10_000 };
/** At most one report of load in this time: every message wakes a relay. */
const STATUS_MS = 5_000;
/** How long a draining daemon waits for its last claims to be answered; they stay on disk after that. */
const SETTLE_MS = 30_000;
/** What holds on a new connection until a status says something else. */
const IDLE: { readonly load: number; readonly thermal: Thermal | null } = { load: 0, thermal: null };

export class Worker {
  readonly #options: WorkerOptions;
  readonly #session: Session;
  readonly #desk: JobDesk;
  readonly #offering: Offering;
  readonly #conditions: Conditions;
  readonly #notices: Notices;
  #mode: Mode = "starting";
  #flush: FlushParameters | null = null;
  #statusTimer: NodeJS.Timeout | undefined;
  #reported = IDLE;

  constructor(options: WorkerOptions) {
    const { url, identity, log, engine, claims, serve, now, backoff, hardware, usdPerKwh, accepts, gates } = options;
    this.#options = options;
    const prices = options.margin === undefined ? {} : { prices: { margin: options.margin } };
    const terms = { hardware, usd_per_kwh: usdPerKwh, accepts, networks: [...options.networks], ...prices };
    this.#notices = new Notices(log);
    this.#conditions = new Conditions({ ...gates, log, now });
    this.#offering = new Offering({ engine, log, now, serve, terms, conditions: this.#conditions });
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
      isOpen: () => this.#conditions.isOpen,
      models: () => this.#offering.models,
      onLoad: () => this.#reportStatus(),
      channel: () => this.#session.channel,
    });
  }

  /** Chooses and measures the models. Throws a {@link Failure} when there is nothing to serve. */
  async prepare(): Promise<void> {
    await this.#offering.prepare();
    // The first offer says already what holds.
    await this.#conditions.look();
  }

  /** Serves until it is drained, stopped, or refused for good. */
  async run(): Promise<SessionEnd> {
    this.#enter("serving");
    const { checkMs, overdueMs, lookMs } = this.#options.pace ?? PACE;
    const check = setInterval(() => void this.#check(), checkMs);
    const look = setInterval(() => void this.#look(), lookMs);
    const overdue = setInterval(() => this.#resendOverdue(overdueMs), overdueMs / 4);
    try {
      return await this.#session.run();
    } finally {
      clearInterval(check);
      clearInterval(look);
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
    for (const notice of welcome.messages) this.#notices.show(notice);
    this.#reported = IDLE;
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
    if (message.type === "message") this.#notices.show(message);
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

  /** Takes jobs or withdraws as clock and machine say; what runs goes on to its end. */
  async #look(): Promise<void> {
    try {
      await this.#conditions.look();
    } catch (error) {
      this.#bug(error);
    }
    const channel = this.#session.channel;
    if (channel !== null) this.#offering.follow(channel);
    this.#reportStatus();
  }

  #resendOverdue(overdueMs: number): void {
    const channel = this.#session.channel;
    if (channel !== null) this.#desk.resendOverdue(channel, overdueMs);
  }

  #reportStatus(): void {
    this.#statusTimer ??= setTimeout(() => {
      this.#statusTimer = undefined;
      const load = Math.min(1, this.#desk.running / this.#options.serve.slots);
      const { thermal } = this.#conditions;
      if (load === this.#reported.load && thermal === this.#reported.thermal) return;
      const sent = this.#session.channel?.send({ type: "status", load, thermal, queue: 0 });
      if (sent === true) this.#reported = { load, thermal };
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
