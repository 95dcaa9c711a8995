/** A market of one test's own: a model, a consumer, and a provider whose daemons a script plays. */

import type { Done } from "../../../../protocol/daemon/messages.ts";
import { testModel } from "../../../support/models.ts";
import type { ScriptedDaemon, ScriptedJob } from "../../../support/scripted-daemon.ts";
import type { Network, TestAccount } from "../../support/network.ts";
import { openChat, type RawAnswer, type RawCall } from "../../support/raw-client.ts";
import { addScripted, connectScripted, type ScriptedSupply } from "../../support/scripted.ts";
import { chunksOf, textOf } from "../../support/sse.ts";

type Play = ScriptedDaemon["onJob"];

export const HI = [{ role: "user", content: "Hi" }];
/** What a scripted daemon claims for that prompt. */
export const PROMPT = 8;
/** The gateway's bound for it: a token for each byte, four for the message and four for the answer's opening. */
export const PROMPT_BOUND = 10;
export const SLOTS = 4;

/** What the model's tokens cost, in millicredits: 20 for one of the prompt, 80 for one of the completion. */
export function price({ prompt = PROMPT, completion = 0 }: { prompt?: number; completion?: number }): number {
  return 20 * prompt + 80 * completion;
}

interface Seat {
  readonly number: number;
  supply: ScriptedSupply;
  /** Whether the pool knows it. */
  isKnown: boolean;
}

let markets = 0;
let daemons = 0;

export class Market {
  readonly network: Network;
  readonly model: string;
  readonly consumer: TestAccount;
  readonly provider: TestAccount;
  readonly #seats: Seat[] = [];

  private constructor(network: Network, model: string, consumer: TestAccount, provider: TestAccount) {
    this.network = network;
    this.model = model;
    this.consumer = consumer;
    this.provider = provider;
  }

  /** Opens a market with a daemon for each play. The consumer has 1,200 credits. */
  static async open(network: Network, ...plays: readonly Play[]): Promise<Market> {
    const model = `model-${++markets}`;
    await network.addModel(testModel({ id: model }));
    const [consumer, provider] = [await network.open(), await network.open({ starter: false })];
    const market = new Market(network, model, consumer, provider);
    for (const play of plays) await market.join(play);
    return market;
  }

  /** One more daemon. */
  async join(onJob: Play): Promise<ScriptedDaemon> {
    const number = ++daemons;
    const supply = await addScripted(this.network, this.provider, this.#options(number, onJob, this.known + 1));
    this.#seats.push({ number, supply, isKnown: true });
    return supply.daemon;
  }

  /** Connects a daemon again that had gone; it gets no jobs. */
  async rejoin(index: number, onJob: Play = () => {}): Promise<ScriptedDaemon> {
    const seat = this.#seat(index);
    seat.isKnown = true;
    seat.supply = await connectScripted(this.network, this.#options(seat.number, onJob, this.known));
    return seat.supply.daemon;
  }

  #options(number: number, onJob: Play, count: number) {
    return { number, model: this.model, onJob, offer: { slots: SLOTS }, daemons: count };
  }

  /** Takes a daemon away: `reset` cuts its connection, `close` ends it. Resolves when the pool knows. */
  async lose(index: number, how: "reset" | "close" = "reset"): Promise<void> {
    const seat = this.#seat(index);
    seat.isKnown = false;
    seat.supply[how]();
    await this.network.supply(this.model, this.known);
  }

  #seat(index: number): Seat {
    const seat = this.#seats[index];
    if (seat === undefined) throw new RangeError(`the market has no daemon ${index}`);
    return seat;
  }

  daemon(index = 0): ScriptedDaemon {
    return this.#seat(index).supply.daemon;
  }

  /** The one job that a daemon has had, which the test ends with. */
  job(index = 0): ScriptedJob {
    const [job, ...more] = this.daemon(index).jobs;
    if (job === undefined || more.length > 0) throw new Error(`daemon ${index} has not had one job`);
    return job;
  }

  /** How many daemons the pool knows. */
  get known(): number {
    return this.#seats.filter(({ isKnown }) => isKnown).length;
  }

  ask(body: object = {}): RawCall {
    return openChat(this.network, this.consumer, { model: this.model, messages: HI, ...body });
  }
}

/** A promise that a play waits for, and that its test opens. */
export function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, opened: promise };
}

/** Hands in the claim of a job when its relay says that it is to stop. */
export async function claimWhenCancelled(job: ScriptedJob): Promise<void> {
  await job.daemon.next("cancel", ({ stream }) => stream === job.job.stream);
  job.done({ finish_reason: "cancelled" });
}

/** Resolves when its relay has read all that a daemon has sent: the answer to a bad message comes in its turn. */
export async function allRead(daemon: ScriptedDaemon): Promise<void> {
  daemon.send({ type: "accept" });
  await daemon.next("error");
}

/** A claim as a daemon brings it again: it names no stream. */
export function lateClaim(job: ScriptedJob): Omit<Done, "stream"> {
  const { stream: _, ...claim } = job.claim();
  return claim;
}

/** What a consumer got at last: the answer's text with the reason for its end, or an error's status and code. */
export interface Seen {
  readonly status: number;
  readonly text: string;
  readonly reason: string | null;
  readonly error: string | null;
}

/** Reads an answer to its end, which has to come in an orderly way: a stream ends with `[DONE]`. */
export async function seen(call: RawCall): Promise<Seen> {
  const answer = await call.answer;
  if (!(await answer.whole)) throw new Error(`the answer was cut off: ${answer.text()}`);
  return String(answer.headers["content-type"]).startsWith("text/event-stream") ? streamed(answer) : plain(answer);
}

function streamed(answer: RawAnswer): Seen {
  if (!answer.text().endsWith("data: [DONE]\n\n")) throw new Error(`the stream has no end: ${answer.text()}`);
  const chunks = chunksOf(answer.text());
  const reason = chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? []).at(-1) ?? null;
  const error = chunks.find((chunk) => chunk.error !== undefined)?.error?.code ?? null;
  return { status: answer.status, text: textOf(chunks), reason, error };
}

function plain(answer: RawAnswer): Seen {
  const body = JSON.parse(answer.text()) as {
    choices?: readonly [{ finish_reason: string; message: { content: string } }];
    error?: { code: string };
  };
  const choice = body.choices?.[0];
  return {
    status: answer.status,
    text: choice?.message.content ?? "",
    reason: choice?.finish_reason ?? null,
    error: body.error?.code ?? null,
  };
}
