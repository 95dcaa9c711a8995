/**
 * Those who watch an account's balance as it changes (interfaces.md §2). Their sockets hibernate with the account. While
 * nobody watches, a change costs one comparison; while somebody does, the changes of a tenth of a second become one
 * message, made from the state as it is then and the entries since the last one. No row is written for any of it.
 */

import { type Refusal, refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Millicredits } from "../../core/units.ts";
import { PING, PONG } from "../../protocol/daemon/messages.ts";
import { WATCH_HEADER, type WatchRefusal, type WatchRequest } from "../../protocol/internal/watch.ts";
import { emitError } from "../shared/events.ts";
import { barKey } from "./key-desk.ts";
import type { Keyring } from "./keyring.ts";
import type { Ledger } from "./ledger.ts";
import { changeOf, isSame, type Reading, readBalance, snapshotOf } from "./live-messages.ts";
import type { Slices } from "./slices.ts";
import { end, isOpen, newWatcher, tell, type Watcher, watcherOf } from "./watcher.ts";

/** What watchers see of their account. */
export interface Watched {
  readonly ledger: Ledger;
  readonly keys: Keyring;
  readonly slices: Slices;
}

export interface WatchersHost {
  readonly ctx: DurableObjectState;
  /** What remote inference needs. */
  readonly minimum: Millicredits;
  /** Rings the account's alarm at a time, or before. */
  wakeAt(time: number): void;
  /** When the account begins its next day by itself. */
  nextDay(now: number): number;
}

/** Service restart (RFC 6455's registry): the watcher comes back. */
const CLOSE_RESTART = 1012;

export class Watchers {
  readonly #host: WatchersHost;
  #watched: Watched | null = null;
  /** What everybody who watches was told last; null while nobody does. */
  #told: Reading | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(host: WatchersHost) {
    this.#host = host;
  }

  /** The books were folded. Whoever watched before the account slept goes on from there. */
  begin(watched: Watched): void {
    this.#watched = watched;
    const sockets = this.#host.ctx.getWebSockets();
    if (sockets.length === 0) return;
    for (const socket of sockets) if (watcherOf(socket) === null) socket.close(CLOSE_RESTART, "update");
    const reading = readBalance(watched, Date.now());
    for (const { socket, watcher } of this.#watchers()) {
      this.#told = reading;
      // What an earlier life of the account did not get to tell.
      if (!isSame(watcher.mark, reading.mark)) this.#tellAll(watched, reading, socket, watcher);
    }
    this.plan();
  }

  /** The state has changed. */
  changed(): void {
    if (this.#told === null || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#onTime(), LIMITS.liveCoalesceMs);
  }

  #onTime(): void {
    try {
      this.#flush();
    } catch (error) {
      emitError("live_balance_failed", error);
    }
  }

  /** Opens a connection: a snapshot now, and everything that follows. */
  open(request: Request): Response {
    const { credentials, after } = JSON.parse(request.headers.get(WATCH_HEADER) ?? "") as WatchRequest;
    const watched = this.#watched;
    if (watched === null) return refusal(refuse("invalid_api_key"));
    const barred = barWatcher(watched.keys, credentials.secretHash, Date.now());
    if (barred !== null) return refusal(barred);
    if (this.#watchers().length >= LIMITS.watchers) {
      const detail = `The account's balance has ${LIMITS.watchers} live connections, and may have no more.`;
      return refusal(refuse("watcher_limit", { detail }));
    }
    watched.ledger.sweep(Date.now());
    // What the others wait for happened before this one came.
    this.#flush();
    const { 0: client, 1: server } = new WebSocketPair();
    const { ctx } = this.#host;
    ctx.acceptWebSocket(server);
    // Answered by the platform without waking the account.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
    const reading = readBalance(watched, Date.now());
    this.#tellAll(watched, reading, server, newWatcher(credentials.secretHash, after ?? reading.mark));
    this.#told ??= reading;
    this.plan();
    const protocol = request.headers.get("sec-websocket-protocol");
    const headers = protocol === null ? {} : { "sec-websocket-protocol": protocol };
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  /** A connection has ended, on whichever side. */
  closed(socket: WebSocket, code: number, reason: string): void {
    try {
      // Without this the other side sees 1006; a code that may not be sent is answered with a plain close.
      socket.close(code === 1005 || code === 1006 ? 1000 : code, reason);
    } finally {
      this.restIfAlone();
    }
  }

  /** Keys have changed, or time has passed: whose key may no longer watch is sent away at once. */
  recheck(): void {
    if (this.#told === null || this.#watched === null) return;
    for (const { socket, watcher } of this.#watchers()) {
      const barred = barWatcher(this.#watched.keys, watcher.secretHash, Date.now());
      if (barred !== null) end(socket, barred);
    }
    this.restIfAlone();
    this.plan();
  }

  /** Tells everybody what has happened since the last time. */
  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const [told, watched] = [this.#told, this.#watched];
    if (told === null || watched === null) return;
    const reading = readBalance(watched, Date.now());
    if (isSame(told.mark, reading.mark)) return;
    this.#told = reading;
    const text = JSON.stringify(changeOf(watched.ledger, told, reading));
    for (const { socket, watcher } of this.#watchers()) tell(socket, watcher, text, reading.mark);
    this.restIfAlone();
    this.plan();
  }

  /** Tells one watcher the whole balance, with what happened since the message that it has. */
  #tellAll({ ledger }: Watched, reading: Reading, socket: WebSocket, watcher: Watcher): void {
    const text = JSON.stringify(snapshotOf(ledger, reading, watcher.mark, this.#host.minimum));
    tell(socket, watcher, text, reading.mark);
  }

  #watchers(): { socket: WebSocket; watcher: Watcher }[] {
    return this.#host.ctx.getWebSockets().flatMap((socket) => {
      const watcher = isOpen(socket) ? watcherOf(socket) : null;
      return watcher === null ? [] : [{ socket, watcher }];
    });
  }

  /** Where nobody watches any more, changes cost nothing again. */
  restIfAlone(): void {
    if (this.#watchers().length > 0) return;
    this.#told = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /**
   * Sees to it that the account wakes when time alone changes what is watched: a lot, a hold or a key runs out, or a day
   * begins. Allotments all end at midnight; what is left of them goes as the account begins its next day.
   */
  plan(): void {
    if (this.#told === null || this.#watched === null) return;
    const { ledger, keys } = this.#watched;
    const { lots, holds } = ledger.state;
    let next = this.#host.nextDay(Date.now());
    for (const { kind, available, expiresAt } of lots.values()) {
      if (available > 0 && expiresAt !== null && kind !== "allotment") next = Math.min(next, expiresAt);
    }
    for (const { expiresAt } of holds.values()) next = Math.min(next, expiresAt);
    for (const { watcher } of this.#watchers()) next = Math.min(next, keys.endOf(watcher.secretHash));
    this.#host.wakeAt(next);
  }
}

/** Why a secret may not watch, or null. */
function barWatcher(keys: Keyring, secretHash: string, now: number): Refusal | null {
  const key = keys.find(secretHash, now);
  return key === null ? refuse("invalid_api_key") : barKey(key, ["read"], now);
}

function refusal(value: Refusal): Response {
  return Response.json({ refusal: value } satisfies WatchRefusal);
}
