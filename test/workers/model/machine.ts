/**
 * A provider's machine: one key, one connection at a time, and what the real daemon keeps over a lost one. Claims wait on
 * its disk until they are answered; jobs that a lost connection cut are told of after the next `welcome`.
 */

import { env } from "cloudflare:workers";
import type { DaemonId, JobId } from "../../../core/ids.ts";
import { encodeFrame } from "../../../protocol/daemon/frames.ts";
import type { Done, RelayMessage } from "../../../protocol/daemon/messages.ts";
import { relayOf } from "../../../protocol/internal/names.ts";
import { daemonKey, offerOf, type ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import { connect } from "../job/network.ts";
import { Attempt, type ClaimKind } from "./attempt.ts";
import { breathe } from "./clock.ts";
import type { History } from "./history.ts";
import { ASKING, MODEL } from "./prices.ts";

/** Real milliseconds after which a relay that answers nothing is one that hangs. */
const ECHO_MS = 10_000;

/** What a machine has lost when it connects: nothing, its process with the jobs that ran, or its disk with the claims too. */
export const FORGETS = ["nothing", "jobs", "claims"] as const;
export type Forgets = (typeof FORGETS)[number];

export interface MachineOptions {
  readonly number: number;
  readonly slots: number;
  readonly obeys: boolean;
}

export interface MachineEvents {
  job(attempt: Attempt, machine: Machine, content: string): void;
  settled(job: JobId): void;
  change(): void;
}

export type Answer = Extract<RelayMessage, { type: "settled" | "refused" }>;

export class Machine {
  readonly id: DaemonId;
  readonly relay: string;
  readonly slots: number;
  readonly attempts: Attempt[] = [];
  /** Claims that were not answered yet, as on its disk. */
  claims: Done[] = [];
  /** Every claim that it ever made, but for those of a lost disk. */
  made: Done[] = [];
  readonly answers: Answer[] = [];
  /** Whether it serves every job by itself, at once. */
  serves = false;
  /** Whether it hands in its claim as soon as it is told to stop, as the real daemon does. */
  readonly #obeys: boolean;
  readonly #number: number;
  readonly #history: History;
  readonly #events: MachineEvents;
  #connection: ScriptedDaemon | null = null;
  #isWelcome = false;
  #isDraining = false;
  #untold: Attempt[] = [];

  constructor(options: MachineOptions, history: History, events: MachineEvents) {
    const { number, slots, obeys } = options;
    this.#number = number;
    this.#obeys = obeys;
    this.id = daemonKey(number).id;
    this.relay = relayOf("local", this.id, Number(env.RELAY_SHARDS));
    this.slots = slots;
    this.#history = history;
    this.#events = events;
  }

  get isConnected(): boolean {
    return this.#connection !== null;
  }

  /** Whether its relay may give it jobs. */
  get isUsable(): boolean {
    return this.#isWelcome && this.#connection !== null && !this.#isDraining;
  }

  /**
   * Connects, tells of what the connection before had cut, and brings back the claims that wait. A process that takes the
   * place of another knows nothing of what that one ran.
   */
  async connect(forgets: Forgets = "nothing"): Promise<void> {
    if (this.#connection !== null) this.#lose(this.#connection);
    if (forgets !== "nothing" || this.#connection !== null) {
      for (const attempt of this.#untold.splice(0)) attempt.isForgotten = true;
    }
    if (forgets === "claims") [this.claims, this.made] = [[], []];
    this.#connection = null;
    this.#isWelcome = false;
    this.#isDraining = false;
    const daemon = await connect(this.#number, (job) => this.#take(job));
    daemon.onMessage = (message) => this.#hear(daemon, message);
    this.#connection = daemon;
    const closed = daemon.closed.then(() => this.#close(daemon));
    const offer = { ...offerOf(MODEL.id, { slots: this.slots }, ASKING.watts), prices: { margin: ASKING.margin } };
    await Promise.race([daemon.join(offer), closed]);
    if (this.#connection !== daemon) return;
    this.#isWelcome = true;
    for (const { job, ticket } of this.#untold.splice(0)) {
      daemon.send({ type: "failed", job, ticket, code: "connection_lost", message: "" });
    }
    this.resend();
  }

  disconnect(): void {
    const daemon = this.#connection;
    if (daemon === null) return;
    this.#close(daemon);
    daemon.socket.close(1000, "bye");
  }

  /** Its relay is gone. The socket will say so too, but what the daemon sends meanwhile reaches nobody. */
  cut(): void {
    if (this.#connection !== null) this.#close(this.#connection);
  }

  #close(daemon: ScriptedDaemon): void {
    this.#lose(daemon);
    if (this.#connection === daemon) this.#connection = null;
    this.#events.change();
  }

  #lose(daemon: ScriptedDaemon): void {
    this.#history.lost("machine");
    for (const attempt of this.attempts) {
      if (attempt.connection !== daemon || attempt.gone !== null) continue;
      if (attempt.isLive) this.#untold.push(attempt);
      attempt.gone = this.#history.now();
    }
  }

  drain(): void {
    this.#isDraining = true;
    this.#say({ type: "drain" });
  }

  /** Sends every claim again that was not answered. */
  resend(): void {
    for (const claim of this.claims) this.#say(claim);
  }

  /** Sends a claim as after a reconnect, whether it was answered or not. */
  repeat(claim: Done): void {
    this.#say(claim);
  }

  #say(message: object): void {
    if (this.#isWelcome) this.#connection?.send(message);
  }

  claim(attempt: Attempt, kind: ClaimKind): void {
    const done = attempt.claim(kind);
    this.claims.push(done);
    this.made.push(done);
  }

  /** Waits until the relay has taken everything that was sent so far: it answers in order. */
  async echo(): Promise<void> {
    const daemon = this.#connection;
    if (daemon === null || !this.#isWelcome) return;
    const sent = this.attempts.filter((attempt) => attempt.connection === daemon);
    const frames = sent.map((attempt) => attempt.frames.length);
    const [stream = 0] = crypto.getRandomValues(new Uint32Array(1));
    daemon.socket.send(encodeFrame({ stream, kind: 0, choice: 0, tokens: 0, payload: new Uint8Array() }));
    const echo = daemon.next("cancel", (message) => message.stream === stream).then(() => "heard");
    const late = breathe(ECHO_MS).then(() => "late");
    const end = await Promise.race([echo, daemon.closed.then(() => "closed"), late]);
    if (end === "late") throw new Error("the relay does not answer");
    if (end === "heard") for (const [index, attempt] of sent.entries()) attempt.confirm(frames[index] ?? 0);
  }

  #take(scripted: ScriptedJob): void {
    const attempt = new Attempt(this.#history, scripted);
    this.attempts.push(attempt);
    const [message] = scripted.job.request.messages as { content: string }[];
    this.#events.job(attempt, this, message?.content ?? "");
    // A process that was replaced has ended.
    if (scripted.daemon !== this.#connection) attempt.gone = this.#history.now();
    else if (this.serves) this.serve(attempt);
    this.#events.change();
  }

  /** Serves an attempt to its end. */
  serve(attempt: Attempt): void {
    attempt.accept();
    attempt.say("served", 2, 0);
    this.claim(attempt, "true");
  }

  /** The jobs that it runs now, as its relay would count them. */
  get running(): number {
    return this.attempts.filter((attempt) => attempt.isLive && attempt.stopped === null).length;
  }

  #stop(attempt: Attempt): void {
    attempt.stopped ??= this.#history.now();
    if (this.#obeys && attempt.isLive) this.claim(attempt, "true");
  }

  #hear(daemon: ScriptedDaemon, message: RelayMessage): void {
    if (message.type === "cancel") {
      const attempt = this.attempts.find(
        ({ connection, stream }) => connection === daemon && stream === message.stream,
      );
      if (attempt !== undefined) this.#stop(attempt);
    }
    if (message.type === "settled" || message.type === "refused") {
      this.answers.push(message);
      if (message.type === "settled") this.#events.settled(message.job);
      this.claims = this.claims.filter((claim) => claim.job !== message.job);
    }
    this.#events.change();
  }
}
