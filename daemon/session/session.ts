/**
 * Keeps the daemon connected: one connection after another, with growing and jittered pauses between them, until it is
 * stopped or the network says something final.
 *
 *     connecting → online     the relay let the daemon in
 *     online     → waiting    the connection closed
 *     connecting → waiting    it could not be opened
 *     waiting    → connecting after the pause
 *     any        → ended      stopped, or a final error
 */

import { backOff } from "exponential-backoff";
import type { Channel } from "../jobs/channel.ts";
import type { Log } from "../output/log.ts";
import { type Closed, Connection, type ConnectionEvents, type ConnectionOptions } from "./connection.ts";

export type SessionMode = "connecting" | "online" | "waiting" | "ended";

export interface SessionEvents extends ConnectionEvents {
  /** The connection has gone; its streams are lost. */
  offline(channel: Channel): void;
}

export type SessionOptions = Omit<ConnectionOptions, "id" | "events" | "resume"> & {
  readonly events: SessionEvents;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The first pause after a failure and the longest one, in milliseconds; each is drawn between 0 and its bound. */
  readonly backoff?: { readonly firstMs: number; readonly mostMs: number };
};

/** Why a session ended: it was stopped, or the network refuses this daemon for good. */
export type SessionEnd =
  | { readonly type: "stopped" }
  | { readonly type: "refused"; readonly code: string; readonly detail: string };

const BACKOFF = { firstMs: 500, mostMs: 30_000 };
/** A connection that was online for less than this has not helped: the pause after it goes on growing. */
const STABLE_MS = 60_000;

/** A connection that failed, as what is thrown to try again. */
class Attempt extends Error {
  readonly closed: Closed;

  constructor(closed: Closed) {
    super(closed.reason);
    this.closed = closed;
  }
}

export class Session {
  readonly #options: SessionOptions;
  #mode: SessionMode = "connecting";
  #connection: Connection | null = null;
  #connections = 0;
  #resume: string | null = null;
  /** Connections in a row that came online and did not last. */
  #shortLived = 0;
  readonly #stopped = Promise.withResolvers<SessionEnd>();

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get mode(): SessionMode {
    return this.#mode;
  }

  /** The connection that is online now, or null. */
  get channel(): Channel | null {
    return this.#connection?.isOpen === true ? this.#connection : null;
  }

  /** Stays connected until {@link stop} or a final refusal. Never throws. */
  async run(): Promise<SessionEnd> {
    const end = await Promise.race([this.#stopped.promise, this.#connectAgainAndAgain()]);
    this.#enter("ended");
    return end;
  }

  /** Closes the connection and ends {@link run}. */
  stop(): void {
    this.#enter("ended");
    this.#connection?.close("the daemon stops");
    this.#stopped.resolve({ type: "stopped" });
  }

  async #connectAgainAndAgain(): Promise<SessionEnd> {
    for (let again = false; ; again = true) {
      const closed = await this.#connectUntilOnline(again);
      if (closed.final !== null) return { type: "refused", code: closed.final, detail: closed.reason };
      if (this.#mode === "ended") return { type: "stopped" };
      this.#options.log.warning("disconnected", { reason: closed.reason });
      this.#enter("waiting");
    }
  }

  /** Tries until a connection came online, and gives how that one ended, or how the last one was refused for good. */
  async #connectUntilOnline(again: boolean): Promise<Closed> {
    const { firstMs, mostMs } = this.#options.backoff ?? BACKOFF;
    try {
      return await backOff(() => this.#connect(), {
        // After a deploy every daemon loses its socket in the same moment, so even the first try is spread out.
        delayFirstAttempt: again,
        jitter: "full",
        // A relay that lets the daemon in and cannot take its offer would be called without a pause otherwise.
        startingDelay: Math.min(mostMs, firstMs * 2 ** Math.max(0, this.#shortLived - 1)),
        maxDelay: mostMs,
        numOfAttempts: Number.POSITIVE_INFINITY,
        retry: (error: unknown, attempt) => this.#mayRetry(error, attempt),
      });
    } catch (error) {
      if (error instanceof Attempt) return error.closed;
      throw error;
    }
  }

  #mayRetry(error: unknown, attempt: number): boolean {
    if (!(error instanceof Attempt) || error.closed.final !== null || this.#mode === "ended") return false;
    this.#options.log.warning("connect_failed", { reason: error.closed.reason, attempt });
    this.#enter("waiting");
    return true;
  }

  /** One connection to its end; throws an {@link Attempt} when it never came online. */
  async #connect(): Promise<Closed> {
    const { events, url, identity, log, now } = this.#options;
    if (this.#mode === "ended") throw new Attempt({ wasOnline: false, reason: "stopped", final: null });
    this.#enter("connecting");
    let onlineAt = 0;
    const connection = new Connection({
      id: ++this.#connections,
      url,
      identity,
      log,
      resume: this.#resume,
      events: {
        message: (message, channel) => events.message(message, channel),
        online: (welcome, channel) => {
          this.#resume = welcome.session;
          this.#enter("online");
          onlineAt = now();
          events.online(welcome, channel);
        },
      },
    });
    this.#connection = connection;
    const closed = await connection.closed;
    this.#connection = null;
    if (!closed.wasOnline) throw new Attempt(closed);
    this.#shortLived = now() - onlineAt < STABLE_MS ? this.#shortLived + 1 : 0;
    events.offline(connection);
    return closed;
  }

  #enter(mode: SessionMode): void {
    // Once ended, a session stays so.
    if (this.#mode !== "ended") this.#mode = mode;
  }
}
