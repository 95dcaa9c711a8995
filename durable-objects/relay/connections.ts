/**
 * The daemons' sockets of a relay: admission, offers, and what the pools hear of both. All that must outlive the relay's
 * sleep is in the sockets' attachments (session.ts).
 */

import { type ErrorCode, type Refusal, refuse } from "../../core/errors.ts";
import { type AccountId, base62, type DaemonId, type JobId, type NetworkId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import {
  type Notice,
  type Offer,
  type RelayMessage,
  SUBPROTOCOL,
  type Thermal,
} from "../../protocol/daemon/messages.ts";
import type { RelayJob } from "../../protocol/internal/job.ts";
import type { Audience, ConnectedDaemon, Registration, SchedulerRpc } from "../../protocol/internal/pool.ts";
import { retrying } from "../shared/retry.ts";
import { challengeDaemon, type Enrolment, enrolmentOf, isProven } from "./admission.ts";
import { Memberships, membershipWarnings } from "./memberships.ts";
import { checkOffer, registrationsOf, sharedSlotsOf } from "./registrations.ts";
import { connectedDaemon, newSession, type Session, sessionOf, updateSession } from "./session.ts";

/** Policy violation: the close code of a connection that may not go on (RFC 6455, 7.4.1). */
const CLOSE_POLICY = 1008;
/** The close code of a connection that our side could not serve: the daemon comes back. */
const CLOSE_INTERNAL = 1011;
/** How frames are cut (interfaces.md §3), and how often a daemon says that it lives. */
const WELCOME_PARAMETERS = {
  flush_first_ms: 50,
  flush_ms: 100,
  flush_tokens: 32,
  ping_ms: 20_000,
  pack_bytes: LIMITS.daemonPackBytes,
};

/** What a daemon hears of its account's word. It is said on every new connection, so it has no id. */
const DRAINED: Notice = {
  level: "warning",
  text: "The account has drained this daemon: what runs goes on to its end, and nothing new comes until it is resumed.",
};
const RESUMED: Notice = { level: "info", text: "The account has resumed this daemon: jobs come again." };

/** What connections need of their relay. */
export interface ConnectionsHost {
  readonly ctx: DurableObjectState;
  readonly db: D1Database;
  readonly parameters: Parameters;
  /** The relay's own name. */
  readonly name: string;
  scheduler(model: string): Pick<SchedulerRpc, "register" | "unregister">;
  /** The jobs that a daemon runs here for a model. */
  running(daemon: DaemonId, model: string): JobId[];
  /** The jobs that a daemon has for other models; whoever asks tells the model's pool. */
  readonly elsewhere: (daemon: DaemonId, model: string) => number;
  /** A socket is no longer a daemon's: what runs over it has to end. */
  gone(socket: WebSocket): void;
}

export class Connections {
  readonly #host: ConnectionsHost;
  readonly #memberships: Memberships;
  /** The newest offer of each socket: an older one may still wait for the catalog when it comes. */
  readonly #newest = new WeakMap<WebSocket, Offer>();

  /** Counts what daemons were to hear: who reads D1 meanwhile may have read what was true before. */
  #told = 0;

  /** Timers of sockets that have to prove a key. One that is left behind would keep the relay from its sleep. */
  readonly #unproven = new WeakMap<WebSocket, ReturnType<typeof setTimeout>>();

  constructor(host: ConnectionsHost) {
    this.#host = host;
    this.#memberships = new Memberships(host.db);
  }

  /** Accepts a daemon's socket; what follows is said over it. */
  open(request: Request): Response {
    const url = new URL(request.url);
    const { 0: client, 1: server } = new WebSocketPair();
    const daemon = (url.searchParams.get("daemon") ?? "") as DaemonId;
    this.#host.ctx.acceptWebSocket(server, [daemon.slice(0, 64)]);
    updateSession(server, newSession(daemon, url.origin, randomText()));
    // Anybody may open a socket; who does not prove a key in time keeps none.
    const timer = setTimeout(() => this.reject(server, "challenge_failed"), LIMITS.challengeMs);
    this.#unproven.set(server, timer);
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: { "sec-websocket-protocol": SUBPROTOCOL },
    });
  }

  hello(socket: WebSocket, session: Session, hello: { version: number; daemon: string }): void {
    // A daemon that is known would otherwise be forgotten without its pools hearing of it.
    if (session.stage === "ready")
      return this.complain(socket, refuse("unexpected_message", { detail: "You are welcome already." }));
    const admission = challengeDaemon(session, hello, Date.now(), crypto.getRandomValues(new Uint8Array(16)));
    if (admission.type === "rejected") return this.reject(socket, admission.code);
    updateSession(socket, admission.session);
    send(socket, admission.reply);
  }

  async proof(socket: WebSocket, session: Session, signature: string): Promise<void> {
    if (session.stage !== "challenged")
      return this.complain(socket, refuse("unexpected_message", { detail: "Say hello first." }));
    if (!isProven(session, signature, Date.now())) return this.reject(socket, "challenge_failed");
    clearTimeout(this.#unproven.get(socket));
    const told = this.#told;
    const enrolment = await enrolmentOf(this.#host.db, session.daemon, Date.now());
    if (enrolment === null) return this.reject(socket, "daemon_not_enrolled");
    const { account, drained, notices } = enrolment;
    const others = this.#host.ctx.getWebSockets(session.daemon).filter((other) => other !== socket);
    const older = others.filter((other) => sessionOf(other)?.stage === "ready");
    for (const other of older) this.reject(other, "replaced");
    // The pools forget the older connection before this one can offer anything.
    await Promise.all(older.map((other) => this.closed(other)));
    updateSession(socket, { ...session, stage: "ready", account, drained, nonce: null });
    send(socket, {
      type: "welcome",
      session: session.session,
      relay: this.#host.name,
      parameters: WELCOME_PARAMETERS,
      messages: drained ? [...notices, DRAINED] : [...notices],
    });
    if (told === this.#told) return;
    // What was said since D1 was asked did not reach this connection.
    const now = await this.#apply(session.daemon);
    const missed = now?.notices.filter(({ id }) => notices.every((known) => known.id !== id)) ?? [];
    for (const notice of missed) send(socket, { type: "message", ...notice });
  }

  /** D1 says something new of a daemon: reads it, and tells the daemon and its pools. */
  async refresh(daemon: DaemonId): Promise<void> {
    this.#told += 1;
    await this.#apply(daemon);
  }

  async #apply(daemon: DaemonId): Promise<Enrolment | null> {
    const enrolment = await this.#enrolment(daemon);
    const socket = this.socketOf(daemon);
    const session = socket === null ? null : sessionOf(socket);
    if (enrolment === null || socket === null || session === null) return enrolment;
    const { drained } = enrolment;
    if (drained !== session.drained) send(socket, { type: "message", ...(drained ? DRAINED : RESUMED) });
    // Also where the session knew it: a pool may not have heard of it.
    await this.#register(socket, { ...session, drained }, session);
    return enrolment;
  }

  /** What D1 says of a daemon, read until nothing was said in the meantime: of two answers the later one may be older. */
  async #enrolment(daemon: DaemonId): Promise<Enrolment | null> {
    for (;;) {
      const told = this.#told;
      const enrolment = await enrolmentOf(this.#host.db, daemon, Date.now());
      if (told === this.#told) return enrolment;
    }
  }

  /** Tells daemons that were admitted what an operator says, and gives how many those are. */
  tell(notice: Notice, to: Audience): number {
    this.#told += 1;
    const sockets = this.#host.ctx.getWebSockets(to.type === "daemon" ? to.daemon : undefined).filter(isReady);
    const meant = sockets.filter((socket) => to.type !== "account" || sessionOf(socket)?.account === to.account);
    for (const socket of meant) send(socket, { type: "message", ...notice });
    return meant.length;
  }

  /** Keeps how hot a daemon says that it is. */
  status(socket: WebSocket, session: Session, thermal: Thermal | null): void {
    if (thermal !== session.thermal) updateSession(socket, { ...session, thermal });
  }

  async offer(socket: WebSocket, offered: Offer): Promise<void> {
    this.#newest.set(socket, offered);
    const { offer, warnings } = await checkOffer(this.#host.db, offered);
    const named = offered.networks ?? [];
    const networks = await this.#networksOf(socket, named);
    // Meanwhile the daemon may have gone, offered again, or said that it drains.
    const session = sessionOf(socket);
    if (session?.stage !== "ready" || !isOpen(socket) || this.#newest.get(socket) !== offered) return;
    warn(socket, [...warnings, ...membershipWarnings(named, networks)]);
    await this.#register(socket, { ...session, offer, networks }, session);
  }

  /**
   * An account has joined or left a private network. When this is done its daemons here are given no more jobs of a network
   * that it is not in, and pools know.
   */
  async membershipsChanged(account: AccountId): Promise<void> {
    this.#memberships.changed();
    const own = this.#host.ctx.getWebSockets().filter((socket) => sessionOf(socket)?.account === account);
    await Promise.all(own.filter(isReady).map((socket) => this.#confirmNetworks(socket)));
  }

  async #confirmNetworks(socket: WebSocket): Promise<void> {
    for (;;) {
      const offer = sessionOf(socket)?.offer ?? null;
      const named = offer?.networks ?? [];
      if (named.length === 0) return;
      const networks = await this.#networksOf(socket, named);
      const session = sessionOf(socket);
      if (session === null || !isReady(socket)) return;
      // Offered anew meanwhile, perhaps with other networks.
      if (session.offer !== offer) continue;
      if (session.networks.some((network) => !networks.includes(network))) {
        warn(socket, membershipWarnings(named, networks));
      }
      return await this.#register(socket, { ...session, networks }, session);
    }
  }

  async #networksOf(socket: WebSocket, named: readonly string[]): Promise<NetworkId[]> {
    const account = sessionOf(socket)?.account ?? null;
    return account === null ? [] : await this.#memberships.of(account, named);
  }

  async drain(socket: WebSocket, session: Session): Promise<void> {
    await this.#register(socket, { ...session, draining: true }, session);
  }

  /** Tells the pools what changed between two states of a session. */
  async #register(socket: WebSocket, next: Session, before: Session): Promise<void> {
    if (!updateSession(socket, next)) {
      return this.complain(
        socket,
        refuse("request_too_large", { detail: "The offer is too large: offer fewer models." }),
      );
    }
    const models = new Set([before, next].flatMap((session) => [...this.registrations(session).keys()]));
    await Promise.all([...models].map((model) => this.#tell(next.daemon, model)));
  }

  /**
   * Tells a pool what is true of a daemon, and again when that has changed by the time it was heard: a connection may come
   * or go while a call waits for its pool, and calls may pass each other on their way.
   */
  async #tell(daemon: DaemonId, model: string): Promise<void> {
    let told: Session | null;
    do {
      told = this.#current(daemon);
      const registration = told === null ? undefined : this.registrations(told).get(model);
      await retrying<void>(async () =>
        registration === undefined
          ? await this.#host.scheduler(model).unregister(daemon, this.#host.name)
          : await this.#host.scheduler(model).register(registration, this.#host.running(daemon, model)),
      );
    } while (this.#current(daemon) !== told);
  }

  /** The session of a daemon's open connection, or null. */
  #current(daemon: DaemonId): Session | null {
    const socket = this.socketOf(daemon);
    return socket === null ? null : sessionOf(socket);
  }

  registrations(session: Session): Map<string, Registration> {
    const { name, parameters } = this.#host;
    const elsewhere = (daemon: DaemonId, model: string): number => this.#host.elsewhere(daemon, model);
    return registrationsOf(session, name, parameters, elsewhere);
  }

  /** Says what is wrong with a message; a daemon that goes on like that is sent away. */
  complain(socket: WebSocket, { code, message }: Refusal): void {
    const session = sessionOf(socket);
    if (session === null) return;
    const badMessages = session.badMessages + 1;
    updateSession(socket, { ...session, badMessages });
    if (badMessages > LIMITS.daemonBadMessages) this.reject(socket, "too_many_bad_messages");
    else send(socket, { type: "error", code, message });
  }

  /** Closes a connection, and ends what runs over it: the other side may never answer the close. */
  reject(socket: WebSocket, code: ErrorCode): void {
    send(socket, { type: "error", code, message: refuse(code).message });
    socket.close(code === "internal_error" ? CLOSE_INTERNAL : CLOSE_POLICY, code);
    this.#host.ctx.waitUntil(this.closed(socket));
  }

  /** A socket has closed. Once for each: a second call finds nothing left to do. */
  async closed(socket: WebSocket): Promise<void> {
    this.#host.gone(socket);
    clearTimeout(this.#unproven.get(socket));
    const session = sessionOf(socket);
    if (session?.stage !== "ready") return;
    updateSession(socket, { ...session, stage: "new", offer: null });
    const models = [...this.registrations(session).keys()];
    await Promise.all(models.map((model) => this.#tell(session.daemon, model)));
  }

  /** The open socket of a daemon that was admitted, or null. */
  socketOf(daemon: DaemonId): WebSocket | null {
    return this.#host.ctx.getWebSockets(daemon).filter(isReady).at(-1) ?? null;
  }

  /** Whether a daemon may be given jobs of a private network; of none, always. */
  mayServe(socket: WebSocket, network: NetworkId | null): boolean {
    return network === null || sessionOf(socket)?.networks.includes(network) === true;
  }

  /** The slots that a daemon offers for a model; 0 when it does not. */
  slotsOf(daemon: DaemonId, model: string): number {
    const socket = this.socketOf(daemon);
    const offer = socket === null ? null : sessionOf(socket)?.offer;
    return offer?.models.find(({ id }) => id === model)?.slots ?? 0;
  }

  /** The jobs that a daemon serves at once over all its models; 0 when it is not here. */
  sharedSlotsOf(daemon: DaemonId): number {
    const offer = this.#current(daemon)?.offer;
    return offer === null || offer === undefined ? 0 : sharedSlotsOf(offer);
  }

  /** The models that a daemon offers. */
  modelsOf(daemon: DaemonId): string[] {
    return this.#current(daemon)?.offer?.models.map(({ id }) => id) ?? [];
  }

  /** Of some daemons the ones that are connected; `jobs` are all that run here. */
  connected(daemons: readonly DaemonId[], jobs: readonly RelayJob[]): ConnectedDaemon[] {
    return daemons.flatMap((daemon) => {
      const session = this.#current(daemon);
      const own = jobs.filter(({ grant }) => grant.daemon === daemon);
      return session === null ? [] : [connectedDaemon(session, own)];
    });
  }

  /** What a daemon that is connected offers for a model, or null. */
  registrationOf(daemon: DaemonId, model: string): Registration | null {
    const session = this.#current(daemon);
    return session === null ? null : (this.registrations(session).get(model) ?? null);
  }

  /** The sessions of all daemons that were admitted. */
  ready(): Session[] {
    return this.#host.ctx
      .getWebSockets()
      .filter(isReady)
      .map(sessionOf)
      .filter((session) => session !== null);
  }
}

/** Sends a message. A socket that has just closed takes nothing; its close handler ends what depended on it. */
export function send(socket: WebSocket, message: RelayMessage): void {
  if (isOpen(socket)) socket.send(JSON.stringify(message));
}

/** Sends messages as one: a JSON array of them, or a single one as it is. */
export function sendAll(socket: WebSocket, messages: readonly RelayMessage[]): void {
  if (isOpen(socket)) socket.send(JSON.stringify(messages.length === 1 ? messages[0] : messages));
}

function warn(socket: WebSocket, texts: readonly string[]): void {
  for (const text of texts) send(socket, { type: "message", level: "warning", text });
}

function isOpen(socket: WebSocket): boolean {
  return socket.readyState === WebSocket.READY_STATE_OPEN;
}

function isReady(socket: WebSocket): boolean {
  return isOpen(socket) && sessionOf(socket)?.stage === "ready";
}

function randomText(): string {
  return base62(crypto.getRandomValues(new Uint8Array(16)));
}
