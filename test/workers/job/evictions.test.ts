/** Each object is put to sleep or lost at each moment of a job. Whatever the consumer sees, everything adds up afterwards. */

import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { relayOf } from "../../../protocol/internal/names.ts";
import { offerOf, type ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import { rows } from "../log/support.ts";
import { holdBack } from "./hold-back.ts";
import {
  addDaemon,
  balance,
  chat,
  connect,
  crash,
  openAccount,
  openMarket,
  receiptsOf,
  STARTER,
  supply,
  type TestAccount,
  until,
} from "./network.ts";

type Part = "account" | "scheduler" | "relay";
type Moment = "before hold" | "waiting" | "before the first token" | "mid-stream" | "settling";
/** It sleeps: evicted, as idle objects are. It is lost: memory, open calls and sockets are gone at once. */
type How = "sleeps" | "is lost";
type Expected =
  /** The whole answer came, and was paid for. */
  | "served"
  /** The stream broke, and nothing was charged. */
  | "broken"
  /** There was no token yet and no other daemon: an error that says so, and nothing was charged. */
  | "refused";

/** An object that has a call open cannot be put to sleep, so not every pair is there twice. */
const TABLE: [Part, How, Moment, Expected][] = [
  ["account", "sleeps", "before hold", "served"],
  ["account", "is lost", "before hold", "served"],
  ["scheduler", "sleeps", "before hold", "served"],
  ["scheduler", "is lost", "before hold", "served"],
  ["relay", "sleeps", "before hold", "served"],
  ["relay", "is lost", "before hold", "served"],
  ["account", "sleeps", "waiting", "served"],
  ["account", "is lost", "waiting", "served"],
  ["scheduler", "is lost", "waiting", "served"],
  ["relay", "is lost", "waiting", "served"],
  ["account", "sleeps", "before the first token", "served"],
  ["account", "is lost", "before the first token", "served"],
  ["scheduler", "sleeps", "before the first token", "served"],
  ["scheduler", "is lost", "before the first token", "served"],
  ["relay", "is lost", "before the first token", "refused"],
  ["account", "sleeps", "mid-stream", "served"],
  ["account", "is lost", "mid-stream", "served"],
  ["scheduler", "sleeps", "mid-stream", "served"],
  ["scheduler", "is lost", "mid-stream", "served"],
  ["relay", "is lost", "mid-stream", "broken"],
  ["account", "is lost", "settling", "served"],
  ["scheduler", "is lost", "settling", "served"],
  ["relay", "is lost", "settling", "broken"],
];

/** A daemon with one slot that goes on when it is told to, and conducts itself like a real one when its relay was lost. */
class Patient {
  readonly jobs: ScriptedJob[] = [];
  #daemon: ScriptedDaemon;
  #goOn = Promise.withResolvers<void>();
  #ended = new Set<ScriptedJob>();

  private constructor(daemon: ScriptedDaemon) {
    this.#daemon = daemon;
    daemon.onJob = (job) => this.#serve(job);
  }

  static async join(provider: TestAccount): Promise<Patient> {
    return new Patient(await addDaemon(provider, { offer: { slots: 1 } }));
  }

  get stub(): DurableObjectStub {
    return env.RELAY.getByName(relayOf("local", this.#daemon.key.id, Number(env.RELAY_SHARDS)));
  }

  /** Ends the jobs that it has, and those that come. */
  goOn(): void {
    this.#goOn.resolve();
  }

  async #serve(job: ScriptedJob): Promise<void> {
    this.jobs.push(job);
    job.accept();
    await this.#goOn.promise;
    if (job.daemon !== this.#daemon) return;
    this.#ended.add(job);
    if (job.completion === 0) job.text("One");
    job.text(" two");
    job.done();
  }

  /** Its relay was lost: it comes back, names what it lost, and brings the claims that nobody answered. */
  async comeBack(): Promise<void> {
    const { received } = this.#daemon;
    this.#daemon = await connect(1, (job) => this.#serve(job));
    await this.#daemon.join(offerOf("test-model", { slots: 1 }));
    for (const job of this.jobs) {
      const { job: id, ticket } = job.job;
      const { stream: _, ...claim } = job.claim();
      if (!this.#ended.has(job))
        this.#daemon.send({ type: "failed", job: id, ticket, code: "connection_lost", message: "" });
      else if (!received.some((message) => message.type === "settled" && message.job === id)) this.#daemon.send(claim);
    }
  }

  /** Waits until its claim was refused. */
  refused(): Promise<unknown> {
    return this.#daemon.next("refused");
  }
}

interface Answer {
  status: number;
  text: string;
  broken: boolean;
}

/** A streamed call that is read as it comes. */
function ask({ apiKey }: TestAccount): { answer: Answer; ended: Promise<void> } {
  const answer: Answer = { status: 0, text: "", broken: false };
  const read = async (): Promise<void> => {
    const response = await chat(apiKey, { stream: true });
    answer.status = response.status;
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) answer.text += decoder.decode(part as Uint8Array);
  };
  const ended = read().catch(() => {
    answer.broken = true;
  });
  return { answer, ended };
}

function seen({ status, text, broken }: Answer): Expected {
  if (!broken && status === 200 && text.endsWith("data: [DONE]\n\n") && !text.includes('"error"')) return "served";
  return status === 200 ? "broken" : "refused";
}

it.each(TABLE)("the %s that %s %s: %s", async (part, how, moment, expected) => {
  const { consumer, provider } = await openMarket();
  const other = await openAccount();
  const daemon = await Patient.join(provider);
  const pool = env.SCHEDULER.getByName("local/test-model");
  const account = env.ACCOUNT.getByName(consumer.account);
  const object = { account, scheduler: pool, relay: daemon.stub }[part] as DurableObjectStub;
  const happen = async (): Promise<void> => {
    await (how === "sleeps" ? evictDurableObject(object) : crash(object));
    if (part === "relay" && how === "is lost") await daemon.comeBack();
  };

  if (moment === "before hold") await happen();
  const blocker = moment === "waiting" ? ask(other) : null;
  if (blocker !== null) await until(() => daemon.jobs.length === 1, "the job before");
  const post = moment === "settling" ? await holdBack(account, "post") : null;
  const { answer, ended } = ask(consumer);
  if (moment === "waiting") await until(async () => (await supply("test-model")).waiting === 1, "a job that waits");
  else await until(() => daemon.jobs.length === 1, "the job");
  if (moment === "mid-stream") {
    daemon.jobs[0]?.text("One");
    await until(() => answer.text.includes("One"), "the first token");
  }
  if (moment === "settling") {
    daemon.goOn();
    await post?.made();
  }
  if (moment !== "before hold") await happen();
  // A relay that was lost before its post leaves the claim to be refused; the post that still comes then finds a void.
  if (part === "relay" && moment === "settling") await daemon.refused();
  post?.release();
  daemon.goOn();
  await Promise.all([ended, blocker?.ended]);

  expect(seen(answer)).toBe(expected);
  // A lease that no relay took up lapses after five seconds, and is looked into twice at most.
  await until(async () => (await supply("test-model")).free === 1, "the free slot", 3 * LIMITS.leaseMs);
  const receipts = [];
  for (const each of [consumer, other]) {
    await until(async () => (await balance(each.apiKey)).held === 0, "no hold");
    const own = await receiptsOf(each);
    const charged = own.reduce((sum, { charge }) => sum + charge.millicredits, 0);
    expect(await balance(each.apiKey)).toEqual({ available: STARTER - charged, held: 0 });
    receipts.push(...own);
  }
  const price = 8 * 20 + 2 * 80;
  expect(STARTER - (await balance(consumer.apiKey)).available).toBe(expected === "served" ? price : 0);
  // The way into the log takes a second and a half, so only the moments that could touch it wait for that.
  if (moment !== "settling" && moment !== "mid-stream") return;
  const jobs: string[] = receipts.map(({ job }) => job);
  const logged = async () => (await rows()).map(({ job }) => job).filter((job) => jobs.includes(job));
  await until(async () => (await logged()).length >= jobs.length, "every receipt in the log");
  expect((await logged()).toSorted()).toEqual(jobs.toSorted());
});
