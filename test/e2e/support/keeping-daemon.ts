/**
 * A scripted daemon that loses nothing with its connection, as the real one: it keeps each claim until the network has
 * answered for it, and after a reconnect it names the jobs that were cut and sends its claims again.
 */

import type { Done, Job, RelayMessage } from "../../../protocol/daemon/messages.ts";
import { type DaemonKey, offerOf, type ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import type { Network, NetworkServer, TestAccount } from "./network.ts";
import { enrolScripted, openScripted, type ScriptedSupply } from "./scripted.ts";

type Answer = Extract<RelayMessage, { type: "settled" | "refused" }>;

interface KeepingOptions {
  readonly number: number;
  readonly model: string;
  readonly onJob: (job: ScriptedJob, daemon: KeepingDaemon) => unknown;
}

export class KeepingDaemon {
  readonly key: DaemonKey;
  /** What the network has said of this daemon's claims, in all its connections. */
  readonly answers: Answer[] = [];
  readonly #network: Network<NetworkServer>;
  readonly #options: KeepingOptions;
  #supply: ScriptedSupply | null = null;
  /** By job and fence. */
  readonly #claims = new Map<string, Done>();
  readonly #running = new Set<ScriptedJob>();
  #lost: Job[] = [];

  private constructor(network: Network<NetworkServer>, key: DaemonKey, options: KeepingOptions) {
    this.#network = network;
    this.key = key;
    this.#options = options;
  }

  /** Enrols a daemon; it is not connected yet. */
  static async enrol(
    network: Network<NetworkServer>,
    owner: TestAccount,
    options: KeepingOptions,
  ): Promise<KeepingDaemon> {
    return new KeepingDaemon(network, await enrolScripted(network, owner, options.number), options);
  }

  /** Connects, offers, and says what the last connection left unsaid. */
  async connect(): Promise<void> {
    const supply = await openScripted(this.#network, this.key, (job) => this.#take(job));
    const { daemon } = supply;
    this.#supply = supply;
    daemon.socket.addEventListener("message", ({ data }) => this.#hear(String(data)));
    daemon.socket.addEventListener("close", () => this.#disconnected(daemon));
    await daemon.join(offerOf(this.#options.model));
    for (const { job, ticket } of this.#lost.splice(0)) {
      daemon.send({ type: "failed", job, ticket, code: "connection_lost", message: "" });
    }
    for (const claim of this.#claims.values()) daemon.send(claim);
  }

  /** Cuts the connection. */
  disconnect(): void {
    this.#supply?.reset();
  }

  /** The connection that is up now, or was up last. */
  get connection(): ScriptedDaemon {
    if (this.#supply === null) throw new Error("the daemon was never connected");
    return this.#supply.daemon;
  }

  /** Loses everything that it has not told yet, as a daemon whose disk breaks. */
  forget(): void {
    this.#claims.clear();
    this.#running.clear();
    this.#lost = [];
  }

  /** Jobs that it runs, or of which it has yet something to say: a claim that has no answer, or that they were cut. */
  get remembered(): readonly string[] {
    const running = [...this.#running].map(({ job }) => job.job);
    return [...[...this.#claims.values()].map(({ job }) => job), ...this.#lost.map(({ job }) => job), ...running];
  }

  /** Ends a job: its claim is kept before it is sent. A job that was cut has no claim. */
  finish(job: ScriptedJob, changes: Partial<Done> = {}): void {
    if (!this.#running.delete(job)) return;
    const { stream: _, ...claim } = job.claim(changes);
    this.#claims.set(`${claim.job}-${claim.fence}`, claim);
    job.daemon.send({ ...claim, stream: job.job.stream });
  }

  fail(job: ScriptedJob): void {
    this.#running.delete(job);
    job.fail();
  }

  decline(job: ScriptedJob): void {
    this.#running.delete(job);
    job.decline();
  }

  #take(job: ScriptedJob): unknown {
    this.#running.add(job);
    return this.#options.onJob(job, this);
  }

  #hear(text: string): void {
    if (text === "pong") return;
    const message = JSON.parse(text) as RelayMessage;
    if (message.type !== "settled" && message.type !== "refused") return;
    this.answers.push(message);
    for (const [name, { job }] of this.#claims) if (job === message.job) this.#claims.delete(name);
  }

  #disconnected(connection: ScriptedDaemon): void {
    for (const job of this.#running) {
      if (job.daemon !== connection) continue;
      this.#running.delete(job);
      this.#lost.push(job.job);
    }
  }
}
