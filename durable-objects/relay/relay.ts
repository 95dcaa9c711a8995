import { DurableObject } from "cloudflare:workers";
import { refuse } from "../../core/errors.ts";
import type { AccountId, DaemonId, JobId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";

import type { ProbeResult } from "../../core/routing/quarantine.ts";

import { decodeFrame } from "../../protocol/daemon/frames.ts";
import { type DaemonMessage, type Done, type Failed, type Notice, PING, PONG } from "../../protocol/daemon/messages.ts";
import { decodePack, isPack } from "../../protocol/daemon/packs.ts";
import type { PostResult, VoidResult } from "../../protocol/internal/account.ts";
import type { RelayJob, TicketContent } from "../../protocol/internal/job.ts";
import { regionOf, schedulerName } from "../../protocol/internal/names.ts";

import type { Audience, ConnectedDaemon, ProbeOrder, RelayRpc, Roster } from "../../protocol/internal/pool.ts";

import { DueTimes } from "../shared/due-times.ts";
import { emitError } from "../shared/events.ts";
import { holderOf } from "../shared/holder.ts";
import { schedulerStub } from "../shared/places.ts";
import { persisting, retrying } from "../shared/retry.ts";
import { parametersOf } from "../shared/settings.ts";
import { Connections, send, sendAll } from "./connections.ts";
import { ended, refusal } from "./given-back.ts";

import { jobMessage } from "./job-message.ts";
import { JobStream } from "./job-stream.ts";

import { answerLateJob, type LateClaimResult, type LateJob } from "./late-claim.ts";
import { readMessage, textOf } from "./messages.ts";
import { probeHost, runProbe } from "./probe.ts";
import { Publishing } from "./publishing.ts";
import { Reports } from "./reports.ts";
import { type Session, sessionOf } from "./session.ts";
import { SlotShares } from "./slot-shares.ts";
import type { StreamBase, StreamHost } from "./stream-host.ts";
import { Streams } from "./streams.ts";
import { sealTicket } from "./tickets.ts";

const TOO_EARLY = refuse("unexpected_message", { detail: "Say hello first." });
const NO_UTF8 = refuse("malformed_frame", { detail: "A text of the pack is not UTF-8." });
const TOO_LARGE = { error: `a pack has at most ${LIMITS.daemonPackBytes} bytes` };

/**
 * The sockets of a shard of daemons, and the streams that pass through them. Sockets hibernate: a relay without streams
 * sleeps, and what it must know of a daemon is in the socket's attachment. Streams live in memory; when the relay is lost
 * they end, nothing is charged, and daemons bring back the claims that were posted (architecture.md, One job).
 */
export class Relay extends DurableObject<Env> implements RelayRpc {
  readonly #parameters: Parameters;
  readonly #connections: Connections;
  readonly #shares: SlotShares;
  readonly #streams = new Streams();
  readonly #receipts: Publishing;
  readonly #reports: Reports;
  readonly #dueTimes = new DueTimes();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#parameters = parametersOf(env);
    this.#receipts = new Publishing(env, (daemon, messages) => {
      const socket = this.#connections.socketOf(daemon);
      if (socket !== null) sendAll(socket, messages);
    });
    this.#reports = new Reports((model, reports) => this.#scheduler(model).report(this.#name, reports));
    this.#connections = new Connections({
      ctx,
      db: env.DB,
      parameters: this.#parameters,
      name: this.#name,
      scheduler: (model) => this.#scheduler(model),
      running: (daemon, model) =>
        this.#streams.running(model).flatMap((job) => (job.daemon === daemon ? [job.job] : [])),
      elsewhere: (daemon, model) => this.#shares.elsewhere(daemon, model),
      gone: (socket) => this.#gone(socket),
    });
    this.#shares = new SlotShares({
      slotsOf: (daemon) => this.#connections.sharedSlotsOf(daemon),
      modelsOf: (daemon) => this.#connections.modelsOf(daemon),
      // Whether there are more or less: somebody may wait for the slot, or get one that is not there.
      tell: (model, daemon, jobs) => this.#reports.add(model, { type: "elsewhere", daemon, jobs }, true),
    });
    // Answered by the platform without waking the relay.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  get #name(): string {
    return this.ctx.id.name ?? "";
  }

  #scheduler(model: string) {
    return schedulerStub(this.env, schedulerName(regionOf(this.#name), model));
  }

  /** A daemon's socket (with `?daemon=`), or a granted job, answered with its stream. */
  override async fetch(request: Request): Promise<Response> {
    return request.headers.get("upgrade") === "websocket" ? this.#connections.open(request) : await this.#run(request);
  }

  async #run(request: Request): Promise<Response> {
    const job = await request.json<RelayJob>();
    const ticket = await this.#ticketOf(job);
    // From here to the start of the stream nothing is awaited: the daemon could go meanwhile, or the lease lapse.
    const socket = this.#connections.socketOf(job.grant.daemon);
    if (socket === null) {
      // A relay that was lost has not heard its sockets close, so a pool may go on with a daemon that never came back.
      this.ctx.waitUntil(this.#forget(job));
      this.#reports.add(job.model, ended(job, "failed"), true);
      return refusal("provider_failed", "The provider has gone.", true);
    }
    // Its account has left the job's network since the grant.
    if (!this.#connections.mayServe(socket, job.network)) {
      this.#reports.add(job.model, ended(job, "busy"), true);
      return refusal("provider_failed", "The provider is in the private network no more.", true);
    }
    // The scheduler has given the lease up, and the hold with it: whoever served the job now would not be paid.
    if (Date.now() >= job.grant.leaseUntil) return refusal("provider_failed", "The lease has lapsed.", false);
    const { daemon } = job.grant;
    if (this.#shares.isFull(daemon)) {
      const jobs = this.#shares.elsewhere(daemon, job.model);
      this.#reports.add(job.model, { type: "elsewhere", daemon, jobs }, false);
      this.#reports.add(job.model, ended(job, "busy"), true);
      return refusal("provider_failed", "The provider has no slot left.", true, true);
    }
    const stream = this.#start(job, ticket, socket, (id) => this.#hostOf(job, id, socket));
    const gone = (): void => stream.cancel();
    request.signal.addEventListener("abort", gone, { once: true });
    if (request.signal.aborted) gone();
    return await stream.response;
  }

  /** Tells a job's pool that its daemon is not here. What comes back offers anew, and that comes after this. */
  async #forget({ job, model, grant }: RelayJob): Promise<void> {
    const gone = this.#scheduler(model).unregister(grant.daemon, this.#name);
    await gone.catch((error: unknown) => emitError("unregister_failed", error, { job }));
  }

  #ticketOf({ job, account, lane, grant, model, hold, salt }: RelayJob, probe?: true): Promise<string> {
    const { daemon, fence, terms } = grant;
    const content: TicketContent = { job, account, daemon, fence, model, terms, salt, expiry: hold.expiresAt };
    const mark = { ...(lane === null && { own: true as const }), ...(probe === true && { probe }) };
    return sealTicket(this.env, { ...content, ...mark });
  }

  #start(
    job: RelayJob,
    ticket: string,
    socket: WebSocket,
    hostOf: (id: number) => StreamHost,
    counts = true,
  ): JobStream {
    const id = this.#streams.number();
    const stream = new JobStream(job, id, hostOf(id), Date.now());
    this.#streams.add(stream, socket, counts);
    this.#shares.started(job.grant.daemon, job.model);
    send(socket, jobMessage(job, stream, ticket));
    return stream;
  }

  #hostOf(job: RelayJob, id: number, socket: WebSocket): StreamHost {
    const account = () => holderOf(this.env, job.account, job.job);
    // What ends a hold must get through, however long the account is away; after the hold's end nothing depends on it.
    const failed = (error: unknown): void => emitError("settlement_failed", error, { job: job.job });
    const insist = <T>(call: () => Promise<T>): Promise<T> => persisting(job.hold.expiresAt, call, failed);
    return {
      ...this.#baseOf(job, id, socket),
      post: (facts) => insist<PostResult>(async () => await account().post(facts)),
      void: async (reason) => {
        // Nothing is held for an own device's job.
        if (job.lane !== null)
          await insist<VoidResult>(async () => await account().void(job.job, reason, job.grant.fence));
      },
      win: (race) => this.#win(job, race),
      acknowledge: async (receipt) => {
        if (receipt === null) send(socket, { type: "settled", job: job.job, receipt: null });
        else await this.#receipts.publish(receipt.text, receipt.body, job.grant.record);
      },
      report: (report) => this.#reports.add(job.model, report, report.type === "ended" && this.#isFull(job)),
    };
  }

  /** What every stream needs, a probe's too. */
  #baseOf(job: RelayJob, id: number, socket: WebSocket): StreamBase {
    return {
      network: this.env.TOLLMILL_NETWORK,
      parameters: this.#parameters,
      dueTimes: this.#dueTimes,
      send: (message) => send(socket, message),
      ended: () => {
        if (this.#streams.remove(id)) this.#shares.ended(job.grant.daemon, job.model);
      },
    };
  }

  async probe(order: ProbeOrder): Promise<ProbeResult> {
    const { daemon, model } = order;
    return await runProbe(order, {
      db: this.env.DB,
      parameters: this.#parameters,
      registration: () => this.#connections.registrationOf(daemon, model),
      ticketOf: (job) => this.#ticketOf(job, true),
      start: (job, ticket, ended) => {
        const socket = this.#connections.socketOf(daemon);
        if (socket === null) return null;
        const hostOf = (id: number) => probeHost(this.#baseOf(job, id, socket), ended);
        return this.#start(job, ticket, socket, hostOf, false);
      },
    });
  }

  /** Whether an attempt has won its race. Its account then knows that no other one has a say. */
  async #win({ job, account, lane, model, grant: { fence } }: RelayJob, race: number): Promise<boolean> {
    const hasWon = await retrying<boolean>(async () => await this.#scheduler(model).win(job, fence, race));
    if (!hasWon || lane === null) return hasWon;
    return await retrying<boolean>(async () => await holderOf(this.env, account, job).advance(job, fence));
  }

  /** Whether a job's daemon has no slot left beside it: then somebody may wait for this one. */
  #isFull({ model, grant: { daemon } }: RelayJob): boolean {
    return this.#streams.fills(daemon, model, this.#connections.slotsOf(daemon, model));
  }

  override async webSocketMessage(socket: WebSocket, raw: string | ArrayBuffer): Promise<void> {
    const session = sessionOf(socket);
    if (session === null) return;
    try {
      if (typeof raw === "string") return await this.#text(socket, session, raw);
      const bytes = new Uint8Array(raw);
      if (isPack(bytes)) await this.#pack(socket, bytes);
      else this.#frame(socket, session, bytes);
    } catch (error) {
      // A store or an object that we need is away. The daemon comes back, and then says everything again.
      emitError("message_failed", error, { daemon: session.daemon });
      this.#connections.reject(socket, "internal_error");
    }
  }

  /** Begins with every item in its order before it waits for any, so that a frame never comes before an earlier one. */
  async #pack(socket: WebSocket, bytes: Uint8Array): Promise<void> {
    // Who has not proven a key gets no more work done by one message than by one item.
    if (sessionOf(socket)?.stage !== "ready") return this.#connections.complain(socket, TOO_EARLY);
    const pack = bytes.length > LIMITS.daemonPackBytes ? TOO_LARGE : decodePack(bytes);
    if ("error" in pack) {
      return this.#connections.complain(socket, refuse("malformed_frame", { detail: `${pack.error}.` }));
    }
    const begun: Promise<void>[] = [];
    for (const { type, bytes: item } of pack.items) {
      const session = sessionOf(socket);
      // One that was sent away in the middle of it is listened to no further.
      if (session?.stage !== "ready") break;
      if (type === "frame") {
        this.#frame(socket, session, item);
        continue;
      }
      const text = textOf(item);
      if (text === null) this.#connections.complain(socket, NO_UTF8);
      else begun.push(this.#text(socket, session, text));
    }
    await Promise.all(begun);
  }

  #frame(socket: WebSocket, session: Session, bytes: Uint8Array): void {
    if (session.stage !== "ready") return this.#connections.complain(socket, TOO_EARLY);
    const frame = decodeFrame(bytes);
    if ("error" in frame) {
      return this.#connections.complain(socket, refuse("malformed_frame", { detail: `${frame.error}.` }));
    }
    const stream = this.#streams.of(socket, frame.stream);
    // A stream of an earlier life of this relay: its consumer has gone with it.
    if (stream === null) send(socket, { type: "cancel", stream: frame.stream });
    else stream.frame(frame);
  }

  async #text(socket: WebSocket, session: Session, text: string): Promise<void> {
    const read = readMessage(text);
    if (read.type === "bad") this.#connections.complain(socket, read.refusal);
    else if (read.type === "message") await this.#handle(socket, session, read.message);
  }

  async #handle(socket: WebSocket, session: Session, message: DaemonMessage): Promise<void> {
    const connections = this.#connections;
    if (message.type === "hello") return connections.hello(socket, session, message);
    if (message.type === "proof") return await connections.proof(socket, session, message.signature);
    if (session.stage !== "ready") return connections.complain(socket, TOO_EARLY);
    switch (message.type) {
      case "offer":
        return await connections.offer(socket, message);
      case "drain":
        return await connections.drain(socket, session);
      case "accept":
        return this.#streams.of(socket, message.stream)?.accept();
      case "decline":
        return this.#streams.of(socket, message.stream)?.decline();
      case "failed":
        return await this.#failed(socket, session, message);
      case "done":
        return await this.#done(socket, session, message);
      case "status":
        return connections.status(socket, session, message.thermal ?? null);
    }
  }

  async #done(socket: WebSocket, session: Session, done: Done): Promise<void> {
    const stream = done.stream === undefined ? null : this.#streams.of(socket, done.stream);
    if (stream?.job.job === done.job) return stream.done(done);
    // Being settled just now: the daemon hears of it when it is.
    if (this.#streams.attempt(done.job, done.fence)?.isSettling === true) return;
    const { job, ticket } = done;
    // A stream that has ended without its claim: only the ticket tells whose it was.
    if (ticket === undefined) return send(socket, { type: "resend", job });
    const result = await this.#answerLate(session, { job, ticket });
    if (result.type === "posted") await this.#receipts.publish(result.text, result.body, null);
    else send(socket, { type: "refused", job: done.job, reason: result.reason });
  }

  async #failed(socket: WebSocket, session: Session, { stream, ticket, job, code }: Failed): Promise<void> {
    if (stream !== undefined) return this.#streams.of(socket, stream)?.fail(code);
    // A job that the daemon lost with its connection, and its relay perhaps too: nobody else knows of its hold.
    if (job !== undefined && ticket !== undefined) await this.#answerLate(session, { job, ticket });
  }

  #answerLate(session: Session, late: LateJob): Promise<LateClaimResult> {
    const isCurrent = async ({ job, fence, model }: TicketContent) =>
      this.#streams.at(job).length === 0 && (await this.#scheduler(model).isCurrent(job, fence));
    return answerLateJob({ env: this.env, isCurrent }, session.daemon, late);
  }

  override async webSocketClose(socket: WebSocket, code: number, reason: string): Promise<void> {
    try {
      // Without this the other side sees 1006; a code that may not be sent is answered with a plain close.
      socket.close(code === 1005 || code === 1006 ? 1000 : code, reason);
    } finally {
      await this.#connections.closed(socket);
    }
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#connections.closed(socket);
  }

  #gone(socket: WebSocket): void {
    for (const stream of this.#streams.over(socket)) stream.fail("daemon_gone");
  }

  async roster(model: string): Promise<Roster> {
    const registrations = this.#connections.ready().flatMap((session) => {
      const registration = this.#connections.registrations(session).get(model);
      return registration === undefined ? [] : [registration];
    });
    return { registrations, running: this.#streams.running(model) };
  }

  async membershipsChanged(account: AccountId): Promise<void> {
    await this.#connections.membershipsChanged(account);
  }

  async cancel(job: JobId): Promise<boolean> {
    const attempts = this.#streams.at(job);
    for (const stream of attempts) stream.cancel();
    return attempts.length > 0;
  }

  async contest(job: JobId, fence: number): Promise<boolean> {
    return this.#streams.attempt(job, fence)?.contest() ?? false;
  }

  async lose(job: JobId, fence: number): Promise<void> {
    this.#streams.attempt(job, fence)?.lose();
  }

  async connected(daemons: readonly DaemonId[]): Promise<ConnectedDaemon[]> {
    return this.#connections.connected(daemons, this.#streams.jobs());
  }

  refresh(daemon: DaemonId): Promise<void> {
    return this.#connections.refresh(daemon);
  }

  async tell(notice: Notice, to: Audience): Promise<number> {
    return this.#connections.tell(notice, to);
  }
}
