/**
 * What the daemon offers: the engine's models as they come and go, sent to the relay whenever they change.
 *
 * An engine that does not list its models is taken to be busy at first: a long prompt or the loading of a model can keep
 * it from answering. After a few misses in a row its models are withdrawn, until it answers again.
 */

import type { Offer } from "../protocol/daemon/messages.ts";
import type { Conditions } from "./conditions/conditions.ts";
import { type Engine, EngineError } from "./engines/engine.ts";
import { measureSpeed } from "./engines/measure.ts";
import {
  type Choice,
  chooseModels,
  LEFT_OUT_HINT,
  offerModels,
  type ServedModel,
  type ServeOptions,
  type Speed,
} from "./engines/served-models.ts";
import { EXIT, Failure } from "./failure.ts";
import type { Channel } from "./jobs/channel.ts";
import type { Log } from "./output/log.ts";

export interface OfferingOptions {
  readonly engine: Engine;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly serve: ServeOptions;
  /** What an offer says beside the engine and its models. */
  readonly terms: Pick<Offer, "hardware" | "usd_per_kwh" | "accepts" | "networks" | "prices">;
  /** Whether models may be offered at the moment, and what an offer says of that. */
  readonly conditions: Pick<Conditions, "isOpen" | "offered">;
}

/** Lists in a row that the engine may owe before its models are withdrawn. */
const MISSES = 3;
/** At most this many checks pass before an offer that the network could not take is made again. */
const MOST_SKIPPED = 31;

export class Offering {
  readonly #options: OfferingOptions;
  readonly #speeds = new Map<string, Speed>();
  #models: ReadonlyMap<string, ServedModel> = new Map();
  #misses = 0;
  #leftOut = 0;
  #checking = false;
  /** The text of the last offer of this connection, so that only changes are sent; null before the first. */
  #sent: string | null = null;
  /** Offers in a row that the network could not take, and checks to wait for until the next one. */
  #troubles = 0;
  #skip = 0;

  constructor(options: OfferingOptions) {
    this.#options = options;
  }

  /** What is served, by catalog id. */
  get models(): ReadonlyMap<string, ServedModel> {
    return this.#models;
  }

  /** Chooses and measures the models. Throws a {@link Failure} when there is nothing to serve. */
  async prepare(): Promise<void> {
    const { engine, serve, log, now } = this.#options;
    const choice = chooseModels(await engine.models(), serve.serve);
    const { chosen, skipped } = choice;
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
    this.#take(choice);
    for (const { engineName, offered } of this.#models.values()) {
      const { id, context, quantization, tokens_per_second } = offered;
      log.info("model_offered", { id, engine_name: engineName, context, quantization, tokens_per_second });
    }
  }

  /** Offers on a new connection, which knows nothing yet. */
  begin(channel: Channel): void {
    this.#sent = null;
    this.#troubles = 0;
    this.#skip = 0;
    this.#send(channel);
  }

  /** Follows the engine, and offers what has changed. `channel` gives the connection that is up then. */
  async check(channel: () => Channel | null): Promise<void> {
    // An engine may take longer for its list than there is between two checks.
    if (this.#checking) return;
    this.#checking = true;
    try {
      await this.#follow();
    } finally {
      this.#checking = false;
    }
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    // The last offer has stood since the check before.
    if (this.#sent !== null) this.#troubles = 0;
    const open = channel();
    if (open !== null) this.#send(open);
  }

  /** Offers what the conditions have changed, unless an offer waits for the network's trouble to pass. */
  follow(channel: Channel): void {
    if (this.#skip === 0) this.#send(channel);
  }

  /**
   * The network had trouble of its own, perhaps with the last offer: it is made again at the next check, and when the
   * trouble stays after 2, 4, 8 … checks.
   */
  networkTrouble(): void {
    if (this.#sent === null) return;
    this.#sent = null;
    this.#skip = Math.min(2 ** this.#troubles - 1, MOST_SKIPPED);
    this.#troubles += 1;
  }

  #send(channel: Channel): void {
    const { engine, terms, serve, conditions } = this.#options;
    const ready = [...this.#models.values()].filter(({ available }) => available && conditions.isOpen);
    const models = ready.map(({ offered }) => offered);
    const label = engine.label.slice(0, 128);
    const { slots } = serve;
    const offer: Offer = { type: "offer", engine: label, ...terms, models, slots, ...conditions.offered };
    const text = JSON.stringify(offer);
    if (text !== this.#sent && channel.send(offer)) this.#sent = text;
  }

  async #follow(): Promise<void> {
    const { engine, serve, log } = this.#options;
    const before = this.#reachable;
    try {
      this.#take(chooseModels(await engine.models(), serve.serve));
      this.#misses = 0;
    } catch (error) {
      if (error instanceof EngineError) this.#miss();
      // The engine answers, and has no longer what --serve names.
      else if (error instanceof Failure) this.#withdraw();
      else throw error;
    }
    if (before && !this.#reachable) log.error("engine_lost", { hint: "it is offered again when it answers" });
    if (!before && this.#reachable) log.info("engine_back");
  }

  #miss(): void {
    this.#misses += 1;
    if (this.#misses >= MISSES) this.#withdraw();
    else this.#options.log.warning("engine_silent", { misses: this.#misses, withdrawn_after: MISSES });
  }

  #withdraw(): void {
    this.#models = new Map([...this.#models].map(([id, model]) => [id, { ...model, available: false }]));
  }

  #take({ chosen, leftOut }: Choice): void {
    const { serve, log } = this.#options;
    if (leftOut > 0 && leftOut !== this.#leftOut) {
      log.warning("models_left_out", { left_out: leftOut, offered: chosen.size, hint: LEFT_OUT_HINT });
    }
    this.#leftOut = leftOut;
    this.#models = offerModels(chosen, this.#speeds, serve);
  }

  get #reachable(): boolean {
    return [...this.#models.values()].some(({ available }) => available);
  }
}
