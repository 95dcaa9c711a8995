/**
 * The mock engine behind a daemon: real protocol, real signatures, and a real daemon's conduct. It keeps a claim until the
 * network has answered for it, brings it again after it was away, and names the jobs that it lost with a connection.
 */

import type { Socket } from "node:net";
import { WebSocket } from "ws";
import type { DaemonId } from "../../core/ids.ts";
import {
  type DaemonMessage,
  type Done,
  type Job,
  type Offer,
  PING,
  PONG,
  PROTOCOL_VERSION,
  proofBytes,
  type RelayMessage,
  SUBPROTOCOL,
} from "../../protocol/daemon/messages.ts";
import { MockIdentity } from "./identity.ts";
import { MockJob } from "./mock-job.ts";

/** Bytes on the daemon's socket, with their frames and masks. */
export interface Traffic {
  readonly sent: number;
  readonly received: number;
  readonly messages: number;
}

/** What a daemon has seen; it outlives its connections. */
export interface DaemonCounts {
  readonly running: number;
  readonly unanswered: number;
  readonly settled: number;
  /** Claims and jobs that were refused, by the relay's reason. */
  readonly refused: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly broughtAgain: number;
  readonly pauses: number;
  /** Errors that the relay named, and ends of connections that nobody here asked for. */
  readonly complaints: readonly string[];
}

/** A claim that waits longer for its answer is sent again, as daemons do. */
const OVERDUE_MS = 60_000;
/** A consumer may keep a stream paused for a minute, and then its daemon still has to claim. */
const DRAIN_MS = 120_000;

export class MockDaemon {
  readonly id: DaemonId;
  readonly #identity: MockIdentity;
  readonly #running = new Map<number, MockJob>();
  /** What a daemon has on its disk, by job and fence, with the time it was last sent. */
  readonly #claims = new Map<string, { readonly claim: Done; sentAt: number }>();
  #lost: Job[] = [];
  #socket: WebSocket | null = null;
  #raw: Socket | null = null;
  #messages = 0;
  #draining = false;
  #counts = { settled: 0, lost: 0, broughtAgain: 0, pauses: 0 };
  readonly #refused: Record<string, number> = {};
  readonly #complaints: string[] = [];

  /** `seed` is 64 hex digits. */
  constructor(seed: string) {
    this.#identity = new MockIdentity(seed);
    this.id = this.#identity.id;
  }

  /** Connects to a network and offers a model. Resolves when it is welcome. */
  async connect(origin: string, model: string, slots: number): Promise<void> {
    const url = `${origin.replace("http", "ws")}/api/v1/connect?daemon=${this.id}`;
    const socket = new WebSocket(url, SUBPROTOCOL, { perMessageDeflate: false });
    this.#socket = socket;
    this.#draining = false;
    socket.on("upgrade", (response) => {
      this.#raw = response.socket;
      response.socket.setNoDelay(true);
    });
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", (code, reason) => {
        const text = `closed with ${code}: ${reason.toString()}`;
        if (this.#socket === socket) {
          this.#complaints.push(text);
          this.#leave();
        }
        reject(new Error(text));
      });
      socket.on("open", () => this.#send({ type: "hello", version: PROTOCOL_VERSION, daemon: this.id }));
      socket.on("message", (data: Buffer) => {
        const text = data.toString();
        if (text === PONG) return;
        const message = JSON.parse(text) as RelayMessage;
        if (message.type === "welcome") resolve();
        this.#receive(message, offerOf(model, slots));
      });
    });
  }

  get isConnected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Says that it lives, and sends the claims again whose answer is overdue. */
  beat(): void {
    if (!this.isConnected) return;
    this.#put(PING);
    this.#sendClaims(Date.now() - OVERDUE_MS);
  }

  /** Its connection breaks, without a close: what runs is lost, and named after the next connect. */
  cut(): void {
    this.#raw?.resetAndDestroy();
    this.#leave();
  }

  /**
   * Its process ends, as by a kill: only its claims are left. One of its jobs got as far as having its claim on disk,
   * but not as far as sending it.
   */
  die(): void {
    const [last] = this.#running.values();
    if (last !== undefined) this.#store(last.claim("stop")).sentAt = 0;
    this.cut();
    this.#lost = [];
  }

  /** Takes no more jobs, ends what runs, waits until its claims are answered, and closes. False when they were not. */
  async drain(): Promise<boolean> {
    this.#draining = true;
    this.#send({ type: "drain" });
    const deadline = Date.now() + DRAIN_MS;
    const isBusy = () => this.#running.size > 0 || this.#claims.size > 0;
    while (isBusy() && this.isConnected && Date.now() < deadline) await new Promise((next) => setTimeout(next, 20));
    const drained = !isBusy();
    this.close();
    return drained;
  }

  close(): void {
    const socket = this.#socket;
    this.#leave();
    socket?.close(1000);
  }

  traffic(): Traffic {
    return { sent: this.#raw?.bytesWritten ?? 0, received: this.#raw?.bytesRead ?? 0, messages: this.#messages };
  }

  counts(): DaemonCounts {
    return {
      running: this.#running.size,
      unanswered: this.#claims.size,
      refused: this.#refused,
      complaints: this.#complaints,
      ...this.#counts,
    };
  }

  /** The connection is no longer this daemon's: nothing that ran over it can be claimed. */
  #leave(): void {
    this.#socket = null;
    for (const job of this.#running.values()) {
      job.abandon();
      this.#lost.push(job.job);
      this.#counts.lost += 1;
    }
    this.#running.clear();
  }

  #receive(message: RelayMessage, offer: Offer): void {
    switch (message.type) {
      case "challenge":
        return this.#send({
          type: "proof",
          signature: this.#identity.sign(proofBytes(message, this.id, PROTOCOL_VERSION)),
        });
      case "welcome":
        return this.#begin(offer);
      case "job":
        return this.#take(message);
      case "cancel":
        return this.#running.get(message.stream)?.cancel();
      case "pause":
        this.#counts.pauses += 1;
        return this.#running.get(message.stream)?.pause();
      case "resume":
        return this.#running.get(message.stream)?.resume();
      case "settled":
        this.#counts.settled += 1;
        return this.#forget(message.job);
      case "refused":
        this.#refused[message.reason] = (this.#refused[message.reason] ?? 0) + 1;
        return this.#forget(message.job);
      case "message":
      case "error":
        this.#complaints.push(message.type === "error" ? `${message.code}: ${message.message}` : message.text);
        return undefined;
    }
  }

  /** After each `welcome`: offers, tells of the jobs that were lost, and brings the claims that were not answered. */
  #begin(offer: Offer): void {
    this.#send(offer);
    for (const { job, ticket } of this.#lost.splice(0)) {
      this.#send({ type: "failed", job, ticket, code: "connection_lost", message: "The connection was lost." });
    }
    this.#sendClaims(Number.POSITIVE_INFINITY);
  }

  #sendClaims(sentBefore: number): void {
    for (const entry of this.#claims.values()) {
      if (entry.sentAt > sentBefore) continue;
      entry.sentAt = Date.now();
      this.#counts.broughtAgain += 1;
      this.#send(entry.claim);
    }
  }

  #take(job: Job): void {
    const { stream } = job;
    if (this.#draining) return this.#send({ type: "decline", stream, reason: "draining" });
    this.#send({ type: "accept", stream });
    const running = new MockJob(job, this.#identity, {
      frame: (bytes) => this.#put(bytes),
      ended: (claim) => {
        this.#running.delete(stream);
        this.#store(claim);
        this.#send({ ...claim, stream });
      },
    });
    this.#running.set(stream, running);
    running.start();
  }

  #store(claim: Done): { sentAt: number } {
    const entry = { claim, sentAt: Date.now() };
    this.#claims.set(`${claim.job}-${claim.fence}`, entry);
    return entry;
  }

  /** The network has answered for a job, so its claims need not be kept. */
  #forget(job: string): void {
    for (const [name, { claim }] of this.#claims) if (claim.job === job) this.#claims.delete(name);
  }

  #send(message: DaemonMessage): void {
    this.#put(JSON.stringify(message));
  }

  #put(data: string | Uint8Array): void {
    this.#messages += 1;
    this.#socket?.send(data);
  }
}

function offerOf(model: string, slots: number): Offer {
  const features = ["temperature", "top_p", "seed", "stop"];
  return {
    type: "offer",
    engine: "mock",
    hardware: { tier: "desktop", gpu: null, vram_mb: null, watts: 100 },
    usd_per_kwh: 0.12,
    accepts: "any",
    models: [
      { id: model, quantization: "q8", context: 8_192, slots, tokens_per_second: 1_000, loaded: true, features },
    ],
  };
}
