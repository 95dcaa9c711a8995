import { DurableObject } from "cloudflare:workers";
import { type ErrorCode, refuse } from "../../core/errors.ts";
import type { DaemonId, JobId } from "../../core/ids.ts";
import { base62 } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import { decodeFrame } from "../../protocol/daemon/frames.ts";
import {
  type DaemonMessage,
  type Done,
  type Offer,
  PING,
  PONG,
  type RelayMessage,
  SUBPROTOCOL,
} from "../../protocol/daemon/messages.ts";
import type { PostResult, VoidResult } from "../../protocol/internal/account.ts";
import { RELAY_RESULT, type RelayJob, type RelayRefusal } from "../../protocol/internal/job.ts";
import { schedulerName } from "../../protocol/internal/names.ts";
import type { JobReport, RelayRpc, Roster } from "../../protocol/internal/pool.ts";
import { signReceipt } from "../shared/receipt-queue.ts";
import { retrying } from "../shared/retry.ts";
import { parametersOf } from "../shared/settings.ts";
import { challengeDaemon, enrolledBy, isProven } from "./admission.ts";
import { JobStream, type StreamHost } from "./job-stream.ts";
import { readMessage } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { checkOffer, registrationsOf } from "./registrations.ts";
import { Reports } from "./reports.ts";
import { newSession, type Session, sessionOf, updateSession } from "./session.ts";
import { openTicket, sealTicket } from "./tickets.ts";

/** Policy violation: the close code of a connection that may not go on (RFC 6455, 7.4.1). */
const CLOSE_POLICY = 1008;
/** How frames are cut (interfaces.md §3), and how often a daemon says that it lives. */
const WELCOME_PARAMETERS = { flush_first_ms: 50, flush_ms: 100, flush_tokens: 32, ping_ms: 20_000 };

interface LiveStream {
  readonly stream: JobStream;
  readonly socket: WebSocket;
}

/**
 * The sockets of a shard of daemons, and the streams that pass through them. Sockets hibernate: a relay without streams
 * sleeps, and what it must know of a daemon is in the socket's attachment. Streams live in memory; when the relay is lost
 * they end, nothing is charged, and daemons bring back the claims that were posted (architecture.md, One job).
 */
export class Relay extends DurableObject<Env> implements RelayRpc {
  readonly #parameters: Parameters;
  readonly #streams = new Map<number, LiveStream>();
  readonly #byJob = new Map<JobId, JobStream>();
  readonly #outbox: Outbox;
  readonly #reports: Reports;
  /** Streams of an earlier life of this relay must never be taken for new ones, so numbers start anywhere. */
  #nextStream = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#parameters = parametersOf(env);
    this.#outbox = new Outbox(env.RECEIPTS);
    this.#reports = new Reports((model, reports) => this.#scheduler(model).report(this.#name, reports));
    // Answered by the platform without waking the relay.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  get #name(): string {
    return this.ctx.id.name ?? "";
  }

  #scheduler(model: string) {
    return this.env.SCHEDULER.getByName(schedulerName(this.env.TOLLMILL_REGION, model));
  }

  /** A daemon's socket (with `?daemon=`), or a granted job, answered with its stream. */
  override async fetch(request: Request): Promise<Response> {
    return request.headers.get("upgrade") === "websocket" ? this.#connect(request) : await this.#run(request);
  }

  #connect(request: Request): Response {
    const url = new URL(request.url);
    const { 0: client, 1: server } = new WebSocketPair();
    const daemon = (url.searchParams.get("daemon") ?? "") as DaemonId;
    this.ctx.acceptWebSocket(server, [daemon.slice(0, 64)]);
    updateSession(server, newSession(daemon, url.origin, randomText()));
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: { "sec-websocket-protocol": SUBPROTOCOL },
    });
  }

  async #run(request: Request): Promise<Response> {
    const job = await request.json<RelayJob>();
    const socket = this.#socketOf(job.grant.daemon);
    if (socket === null) {
      this.#reports.add(job.model, ended(job));
      return refusal("provider_failed", "The provider has gone.");
    }
    // The gateway came too late: the scheduler has given the lease up and the hold with it.
    if (Date.now() > job.grant.leaseUntil) return refusal("provider_failed", "The lease has lapsed.");
    const stream = await this.#start(job, socket);
    const gone = (): void => stream.cancel();
    request.signal.addEventListener("abort", gone, { once: true });
    if (request.signal.aborted) gone();
    return await stream.response;
  }

  async #start(job: RelayJob, socket: WebSocket): Promise<JobStream> {
    const { grant, account, hold, salt } = job;
    const ticket = await sealTicket(this.env, {
      job: job.job,
      account,
      daemon: grant.daemon,
      fence: grant.fence,
      model: job.model,
      terms: grant.terms,
      salt,
      expiry: hold.expiresAt,
    });
    const id = this.#nextStream;
    this.#nextStream = (this.#nextStream + 1) >>> 0;
    const stream = new JobStream(job, id, this.#hostOf(job, id, socket), Date.now());
    this.#streams.set(id, { stream, socket });
    this.#byJob.set(job.job, stream);
    send(socket, {
      type: "job",
      stream: id,
      job: job.job,
      fence: grant.fence,
      lane: job.lane,
      model: job.model,
      ticket,
      salt,
      request_digest: job.requestDigest,
      deadline: stream.deadline,
      request: job.request,
    });
    return stream;
  }

  #hostOf(job: RelayJob, id: number, socket: WebSocket): StreamHost {
    const account = () => this.env.ACCOUNT.getByName(job.account);
    return {
      network: this.env.TOLLMILL_NETWORK,
      parameters: this.#parameters,
      send: (message) => send(socket, message),
      post: (facts) => retrying<PostResult>(async () => await account().post(facts)),
      void: async (reason) => {
        await retrying<VoidResult>(async () => await account().void(job.job, reason));
      },
      publish: (body) => this.#publish(body, job.grant.daemon),
      report: (report) => this.#reports.add(job.model, report),
      ended: () => {
        this.#streams.delete(id);
        if (this.#byJob.get(job.job)?.id === id) this.#byJob.delete(job.job);
      },
    };
  }

  /** Signs a posted receipt and queues it; the daemon hears of it only once the queue has it. */
  async #publish(text: string, daemon: DaemonId): Promise<void> {
    const receipt = await signReceipt(this.env, text);
    const body = JSON.parse(text) as ReceiptBody;
    this.#outbox.add(receipt, () => {
      const socket = this.#socketOf(daemon);
      const { job, seq, outcome } = body;
      if (socket !== null) send(socket, { type: "settled", job, receipt: { seq, outcome } });
    });
  }

  override async webSocketMessage(socket: WebSocket, raw: string | ArrayBuffer): Promise<void> {
    const session = sessionOf(socket);
    if (session === null) return;
    if (typeof raw !== "string") {
      this.#frame(socket, session, raw);
      return;
    }
    const read = readMessage(raw);
    if (read.type === "ignored") return;
    if (read.type === "bad") this.#complain(socket, session, read.code, read.message);
    else await this.#handle(socket, session, read.message);
  }

  #frame(socket: WebSocket, session: Session, raw: ArrayBuffer): void {
    const frame = decodeFrame(raw);
    if ("error" in frame) {
      this.#complain(socket, session, "malformed_frame", frame.error);
      return;
    }
    const live = this.#streams.get(frame.stream);
    // A stream of an earlier life of this relay: its consumer has gone with it.
    if (live?.socket !== socket) send(socket, { type: "cancel", stream: frame.stream });
    else live.stream.frame(frame);
  }

  async #handle(socket: WebSocket, session: Session, message: DaemonMessage): Promise<void> {
    if (message.type === "hello") return this.#hello(socket, session, message);
    if (message.type === "proof") return await this.#proof(socket, session, message.signature);
    if (session.stage !== "ready") return this.#complain(socket, session, "unexpected_message", "Say hello first.");
    switch (message.type) {
      case "offer":
        return await this.#offer(socket, session, message);
      case "drain":
        return await this.#register(socket, { ...session, draining: true }, session);
      case "accept":
        return this.#streamOf(socket, message.stream)?.accept();
      case "decline":
        return this.#streamOf(socket, message.stream)?.decline();
      case "failed":
        return this.#streamOf(socket, message.stream)?.fail(message.code);
      case "done":
        return await this.#done(socket, session, message);
      case "status":
        return undefined;
    }
  }

  #streamOf(socket: WebSocket, id: number): JobStream | null {
    const live = this.#streams.get(id);
    return live?.socket === socket ? live.stream : null;
  }

  #hello(socket: WebSocket, session: Session, hello: { version: number; daemon: string }): void {
    const admission = challengeDaemon(session, hello, Date.now(), crypto.getRandomValues(new Uint8Array(16)));
    if (admission.type === "rejected") return this.#reject(socket, admission.code);
    updateSession(socket, admission.session);
    send(socket, admission.reply);
  }

  async #proof(socket: WebSocket, session: Session, signature: string): Promise<void> {
    if (session.stage !== "challenged")
      return this.#complain(socket, session, "unexpected_message", "Say hello first.");
    if (!isProven(session, signature, Date.now())) return this.#reject(socket, "challenge_failed");
    const account = await enrolledBy(this.env.DB, session.daemon);
    if (account === null) return this.#reject(socket, "daemon_not_enrolled");
    for (const other of this.ctx.getWebSockets(session.daemon)) {
      if (other !== socket && sessionOf(other)?.stage === "ready") this.#reject(other, "replaced");
    }
    updateSession(socket, { ...session, stage: "ready", account, nonce: null });
    send(socket, {
      type: "welcome",
      session: session.session,
      relay: this.#name,
      parameters: WELCOME_PARAMETERS,
      messages: [],
    });
  }

  async #offer(socket: WebSocket, session: Session, offered: Offer): Promise<void> {
    const { offer, warnings } = await checkOffer(this.env.DB, offered);
    for (const text of warnings) send(socket, { type: "message", level: "warning", text });
    await this.#register(socket, { ...session, offer }, session);
  }

  /** Tells the pools what changed between two states of a session. */
  async #register(socket: WebSocket, next: Session, before: Session): Promise<void> {
    if (!updateSession(socket, next)) {
      return this.#complain(socket, before, "request_too_large", "The offer is too large: offer fewer models.");
    }
    const now = registrationsOf(next, this.#name, this.#parameters);
    const gone = [...registrationsOf(before, this.#name, this.#parameters).keys()].filter((model) => !now.has(model));
    await Promise.all([
      ...[...now].map(([model, registration]) => this.#scheduler(model).register(registration)),
      ...gone.map((model) => this.#scheduler(model).unregister(next.daemon, this.#name)),
    ]);
  }

  async #done(socket: WebSocket, session: Session, done: Done): Promise<void> {
    const live = done.stream === undefined ? null : this.#streamOf(socket, done.stream);
    if (live?.job.job === done.job) return live.done(done);
    // Being settled just now: the daemon hears of it when it is.
    if (this.#byJob.get(done.job)?.isSettling === true) return;
    await this.#lateClaim(socket, session, done);
  }

  /**
   * A claim for a job that has no stream here, because it came late or the relay was lost: acknowledged if the account has
   * posted it, refused otherwise. The hold is released unless a later attempt has taken the job over.
   */
  async #lateClaim(socket: WebSocket, session: Session, done: Done): Promise<void> {
    const ticket = await openTicket(this.env, done.ticket);
    if (ticket === null || ticket.job !== done.job || ticket.daemon !== session.daemon) {
      return send(socket, { type: "refused", job: done.job, reason: "invalid_ticket" });
    }
    const current = await this.#scheduler(ticket.model).isCurrent(ticket.job, ticket.fence);
    const running = this.#byJob.has(ticket.job);
    if (!current || running) return send(socket, { type: "refused", job: done.job, reason: "superseded" });
    const account = () => this.env.ACCOUNT.getByName(ticket.account);
    const result = await retrying<VoidResult>(async () => await account().void(ticket.job, "relay_lost"));
    if (result.type === "already_posted") {
      const body = JSON.parse(result.body) as ReceiptBody;
      if (body.daemon === session.daemon && body.fence === ticket.fence) {
        return await this.#publish(result.body, session.daemon);
      }
    }
    send(socket, { type: "refused", job: done.job, reason: result.type });
  }

  #complain(socket: WebSocket, session: Session, code: ErrorCode, detail: string): void {
    const badMessages = session.badMessages + 1;
    updateSession(socket, { ...session, badMessages });
    if (badMessages > LIMITS.daemonBadMessages) return this.#reject(socket, "too_many_bad_messages");
    send(socket, { type: "error", code, message: refuse(code, { detail }).message });
  }

  #reject(socket: WebSocket, code: ErrorCode): void {
    send(socket, { type: "error", code, message: refuse(code).message });
    socket.close(CLOSE_POLICY, code);
  }

  override async webSocketClose(socket: WebSocket, code: number, reason: string): Promise<void> {
    // Without this the other side sees 1006; a code that may not be sent is answered with a plain close.
    socket.close(code === 1005 || code === 1006 ? 1000 : code, reason);
    await this.#closed(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#closed(socket);
  }

  async #closed(socket: WebSocket): Promise<void> {
    for (const live of this.#streams.values()) if (live.socket === socket) live.stream.fail("daemon_gone");
    const session = sessionOf(socket);
    if (session?.stage !== "ready") return;
    const successor = this.#socketOf(session.daemon);
    if (successor !== null && successor !== socket) return;
    const pools = [...registrationsOf(session, this.#name, this.#parameters).keys()];
    updateSession(socket, { ...session, stage: "new", offer: null });
    await Promise.all(pools.map((model) => this.#scheduler(model).unregister(session.daemon, this.#name)));
  }

  /** The ready socket of a daemon. */
  #socketOf(daemon: DaemonId): WebSocket | null {
    const open = this.ctx
      .getWebSockets(daemon)
      .filter((socket) => socket.readyState === WebSocket.READY_STATE_OPEN && sessionOf(socket)?.stage === "ready");
    return open.at(-1) ?? null;
  }

  async roster(model: string): Promise<Roster> {
    const registrations = this.#ready().flatMap((session) => {
      const registration = registrationsOf(session, this.#name, this.#parameters).get(model);
      return registration === undefined ? [] : [registration];
    });
    const running = [...this.#streams.values()]
      .map(({ stream }) => stream.job)
      .filter((job) => job.model === model)
      .map(({ job, grant, account }) => ({ job, fence: grant.fence, daemon: grant.daemon, account }));
    return { registrations, running };
  }

  #ready(): Session[] {
    return this.ctx
      .getWebSockets()
      .filter((socket) => socket.readyState === WebSocket.READY_STATE_OPEN)
      .map(sessionOf)
      .filter((session): session is Session => session?.stage === "ready");
  }

  async cancel(job: JobId): Promise<boolean> {
    const stream = this.#byJob.get(job);
    stream?.cancel();
    return stream !== undefined;
  }

  async connected(): Promise<DaemonId[]> {
    return this.#ready().map((session) => session.daemon);
  }
}

function send(socket: WebSocket, message: RelayMessage): void {
  // A socket that has just closed takes nothing; its close handler ends what depended on it.
  if (socket.readyState === WebSocket.READY_STATE_OPEN) socket.send(JSON.stringify(message));
}

function refusal(code: ErrorCode, detail: string): Response {
  const body: RelayRefusal = { refusal: refuse(code, { detail }), move: true, resolved: false };
  return Response.json(body, { status: 409, headers: { [RELAY_RESULT]: "refused" } });
}

function ended(job: RelayJob): JobReport {
  return { type: "ended", job: job.job, fence: job.grant.fence, result: "failed", tokens: null };
}

function randomText(): string {
  return base62(crypto.getRandomValues(new Uint8Array(16)));
}
