/** A network on a mortal server, with a daemon or two that keep their claims and do what a prompt tells them. */

import { setTimeout as sleep } from "node:timers/promises";
import { relayOf } from "../../../../protocol/internal/names.ts";
import { testModel } from "../../../support/models.ts";
import { daemonKey, type ScriptedJob } from "../../../support/scripted-daemon.ts";
import { KeepingDaemon } from "../../support/keeping-daemon.ts";
import { Network, type TestAccount, until } from "../../support/network.ts";
import { MortalServer } from "./mortal-server.ts";

/** 80 millicredits a completion token, 20 a prompt token. */
export const MODEL = testModel();
/** A model that no daemon serves. */
export const UNSERVED = testModel({ id: "unserved-model" });
const WORDS = ["One", " two", " three"];
export const ANSWER = WORDS.join("");
/** What an answer costs: its three words, and the eight tokens that a scripted daemon claims for a prompt. */
export const COST = WORDS.length * 80 + 8 * 20;
/** Between words: a kill finds the daemon in the middle of its answer. */
const WORD_MS = 5;

/** Daemons of different relays, so that a job that moves meets both. */
const NUMBERS = [1, firstOfAnotherRelay(1)];

export type Prompt = keyof typeof SCRIPTS;

interface MarketOptions {
  readonly daemons?: number;
  /** Variables of the Worker. */
  readonly vars?: Record<string, string>;
}

export class Market {
  readonly server: MortalServer;
  readonly network: Network<MortalServer>;
  readonly daemons: readonly KeepingDaemon[];
  readonly accounts: TestAccount[] = [];

  private constructor(network: Network<MortalServer>, daemons: readonly KeepingDaemon[]) {
    this.network = network;
    this.server = network.server;
    this.daemons = daemons;
  }

  static async open({ daemons = NUMBERS.length, vars = {} }: MarketOptions = {}): Promise<Market> {
    const network = await Network.on(await MortalServer.start(vars), [MODEL, UNSERVED]);
    const provider = await network.open({ starter: false });
    const stage = { failed: new Set<string>(), isOver: () => network.server.life.isOver };
    const onJob = (job: ScriptedJob, daemon: KeepingDaemon) => SCRIPTS[promptOf(job)](job, daemon, stage);
    const enrolled = NUMBERS.slice(0, daemons).map((number) =>
      KeepingDaemon.enrol(network, provider, { number, model: MODEL.id, onJob }),
    );
    const market = new Market(network, await Promise.all(enrolled));
    await market.connect();
    return market;
  }

  /** Connects the daemons, and waits until the pool has them. */
  async connect(): Promise<void> {
    for (const daemon of this.daemons) await daemon.connect();
    const known = async () => (await this.server.supply(MODEL.id)).daemons === this.daemons.length;
    await until(known, "the daemons in their pool");
  }

  /** Starts the Worker again, and brings the daemons back. */
  async restart(options: Parameters<MortalServer["restart"]>[0] = {}): Promise<void> {
    await this.server.restart(options);
    await this.connect();
  }

  /** A consumer with 1,200 credits. */
  async consumer(): Promise<TestAccount> {
    const account = await this.network.open();
    this.accounts.push(account);
    return account;
  }

  /** Whether a daemon has anything to say of a job yet. */
  get isRemembered(): boolean {
    return this.daemons.some(({ remembered }) => remembered.length > 0);
  }

  /** Waits until no job runs, every claim has its answer, and every receipt is in the log. */
  async quiet(): Promise<void> {
    await until(() => !this.isRemembered && this.server.queued === 0, "the end of every job, claim and message");
  }
}

interface Stage {
  /** Jobs that a daemon has failed. */
  readonly failed: Set<string>;
  /** Whether the Worker is dead: nobody goes on to talk to it then, even if the connection has not said so yet. */
  readonly isOver: () => boolean;
}

/** What daemons do with a prompt. */
const SCRIPTS = {
  answer: async (job: ScriptedJob, daemon: KeepingDaemon, { isOver }: Stage) => {
    job.accept();
    for (const word of WORDS) {
      await sleep(WORD_MS);
      if (isOver()) return;
      job.text(word);
    }
    await sleep(WORD_MS);
    if (!isOver()) daemon.finish(job);
  },
  /** The first daemon fails before its first token, the next one answers. */
  move: async (job: ScriptedJob, daemon: KeepingDaemon, stage: Stage) => {
    if (stage.failed.has(job.job.job)) return await SCRIPTS.answer(job, daemon, stage);
    stage.failed.add(job.job.job);
    job.accept();
    daemon.fail(job);
  },
  /** The first daemon loses its connection before its first token, and comes back; the next one answers. */
  vanish: async (job: ScriptedJob, daemon: KeepingDaemon, stage: Stage) => {
    if (stage.failed.has(job.job.job)) return await SCRIPTS.answer(job, daemon, stage);
    stage.failed.add(job.job.job);
    job.accept();
    await sleep(WORD_MS);
    daemon.disconnect();
    await job.daemon.closed;
    // A return that is cut by a kill is made again after it.
    if (!stage.isOver()) await daemon.connect().catch(() => {});
  },
  /** Words until it is told to stop. */
  talk: async (job: ScriptedJob, daemon: KeepingDaemon) => {
    job.accept();
    const talking = setInterval(() => job.text(" word"), 4 * WORD_MS);
    const cancelled = job.daemon.next("cancel", ({ stream }) => stream === job.job.stream);
    await Promise.race([cancelled, job.daemon.closed]);
    clearInterval(talking);
    daemon.finish(job, { finish_reason: "cancelled" });
  },
  /** Nothing, until it is told to stop. */
  think: async (job: ScriptedJob, daemon: KeepingDaemon) => {
    job.accept();
    await job.daemon.next("cancel", ({ stream }) => stream === job.job.stream);
    daemon.finish(job, { finish_reason: "cancelled" });
  },
  decline: (job: ScriptedJob, daemon: KeepingDaemon) => daemon.decline(job),
} as const;

function promptOf({ job }: ScriptedJob): Prompt {
  const { messages } = job.request as { messages: [{ content: Prompt }] };
  return messages[0].content;
}

function firstOfAnotherRelay(number: number): number {
  const relay = (of: number) => relayOf("local", daemonKey(of).id, 2);
  return [2, 3, 4, 5, 6, 7, 8].find((other) => relay(other) !== relay(number)) ?? number;
}
