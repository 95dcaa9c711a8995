/**
 * The GPU worker: one engine, one key, one session with the network.
 *
 *     starting → serving    the models are measured and the session begins
 *     serving  → draining   the first signal: no new jobs, the running ones end, their claims are answered
 *     serving | draining → stopped
 */

import type { Offer, RelayMessage, Welcome } from "../protocol/daemon/messages.ts";
import type { ClaimStore } from "./claims/store.ts";
import { type Engine, EngineError } from "./engines/engine.ts";
import { measureSpeed } from "./engines/measure.ts";
import { chooseModels, offerModels, type ServedModel, type ServeOptions, type Speed } from "./engines/served-models.ts";
import { EXIT, Failure, reasonOf } from "./failure.ts";
import type { Hardware } from "./hardware/probe.ts";
import type { Identity } from "./identity/key-file.ts";
import type { Channel } from "./jobs/channel.ts";
import type { FlushParameters } from "./jobs/flush-policy.ts";
import { JobDesk } from "./jobs/job-desk.ts";
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
  readonly serve: ServeOptions;
  readonly backoff?: NonNullable<SessionOptions["backoff"]>;
}

type Mode = "starting" | "serving" | "draining" | "stopped";

/** How often the engine is asked what it serves, so that the offer follows it. */
const REFRESH_MS = 30_000;
/** At most one report of load in this time: every message wakes a relay. */
const STATUS_MS = 5_000;
/** How long a draining daemon waits for its last claims to be answered; they stay on disk after that. */
const SETTLE_MS = 30_000;

export class Worker {
  readonly #options: WorkerOptions;
  readonly #session: Session;
  readonly #desk: JobDesk;
  #mode: Mode = "starting";
  #models: ReadonlyMap<string, ServedModel> = new Map();
  readonly #speeds = new Map<string, Speed>();
  #flush: FlushParameters | null = null;
  /** The text of the last offer of this connection, so that only changes are sent. */
  #offered = "";
  #statusTimer: NodeJS.Timeout | undefined;
  #reportedLoad = 0;

  constructor(options: WorkerOptions) {
    const { url, identity, log, engine, claims, serve, now, backoff } = options;
    this.#options = options;
    this.#session = new Session({
      url,
      identity,
      log,
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
      models: () => this.#models,
      onLoad: () => this.#reportLoad(),
      channel: () => this.#session.channel,
    });
  }

  /** Chooses and measures the models. Throws a {@link Failure} when there is nothing to serve. */
  async prepare(): Promise<void> {
    const { engine, serve, log, now } = this.#options;
    const { chosen, skipped } = chooseModels(await engine.models(), serve.serve);
    for (const name of skipped) log.warning("model_skipped", { name, hint: `give it an id: --serve ${name}=…` });
    if (chosen.size === 0) {
      throw new Failure(
        EXIT.usage,
        `${engine.label} has no model to serve. Load one, or name it with --serve NAME=ID.`,
      );
    }
    const models = [...chosen.values()];
    // Measuring loads a model, so of those that are not loaded only the ones asked for by name are measured.
    const ready = models.filter(({ loaded }) => loaded || serve.serve.size > 0);
    for (const { name } of ready.length > 0 ? ready : models.slice(0, 1)) {
      log.info("measuring", { model: name });
      const speed = await measureSpeed(engine, name, now);
      if (speed !== null) this.#speeds.set(name, speed);
    }
    this.#models = offerModels(chosen, this.#speeds, serve);
    for (const { engineName, offered } of this.#models.values()) {
      const { id, context, quantization, tokens_per_second } = offered;
      log.info("model_offered", { id, engine_name: engineName, context, quantization, tokens_per_second });
    }
  }

  /** Serves until it is drained, stopped, or refused for good. */
  async run(): Promise<SessionEnd> {
    this.#enter("serving");
    const refresh = setInterval(() => void this.#refresh(), REFRESH_MS);
    try {
      return await this.#session.run();
    } finally {
      clearInterval(refresh);
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
    await Promise.race([claims.empty(), timeout.promise]);
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
    this.#offered = "";
    this.#reportedLoad = 0;
    this.#offer(channel);
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
    else if (message.type !== "job") this.#desk.handle(message, channel).catch((error: unknown) => this.#bug(error));
    else if (this.#flush !== null) {
      log.info("job", { job: message.job, model: message.model, lane: message.lane });
      this.#desk.take(message, channel, this.#flush).catch((error: unknown) => this.#bug(error));
    }
  }

  #offer(channel: Channel): void {
    const { engine, hardware, usdPerKwh, accepts } = this.#options;
    const models = [...this.#models.values()].filter(({ available }) => available).map(({ offered }) => offered);
    const offer: Offer = {
      type: "offer",
      engine: engine.label.slice(0, 128),
      hardware,
      usd_per_kwh: usdPerKwh,
      accepts,
      models,
    };
    const text = JSON.stringify(offer);
    if (text === this.#offered) return;
    if (channel.send(offer)) this.#offered = text;
  }

  /** Follows the engine: a model that was loaded or removed, or an engine that went away or came back. */
  async #refresh(): Promise<void> {
    const { engine, serve, log } = this.#options;
    const before = this.#reachable;
    try {
      const { chosen } = chooseModels(await engine.models(), serve.serve);
      this.#models = offerModels(chosen, this.#speeds, serve);
    } catch (error) {
      if (!(error instanceof EngineError) && !(error instanceof Failure)) return this.#bug(error);
      this.#models = new Map([...this.#models].map(([id, model]) => [id, { ...model, available: false }]));
    }
    if (before && !this.#reachable) log.error("engine_lost", { hint: "it is offered again when it answers" });
    if (!before && this.#reachable) log.info("engine_back");
    const channel = this.#session.channel;
    if (channel !== null) this.#offer(channel);
  }

  get #reachable(): boolean {
    return [...this.#models.values()].some(({ available }) => available);
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
