/** The jobs that are cut, each as its consumer plays it, and what the consumer does after the restart. */

import { request } from "node:http";
import { expect } from "vitest";
import { type TestAccount, until } from "../../support/network.ts";
import { type Asked, ask, bodyOf } from "./asking.ts";
import { checkBooks } from "./checks.ts";
import { COST, type Market, UNSERVED } from "./market.ts";

export interface Play {
  /** From the call to whatever the consumer sees last. */
  readonly ask: (market: Market, consumer: TestAccount) => Promise<Pick<Asked, "complete">>;
  /** What the consumer does once the network is back. */
  readonly next: (market: Market, consumer: TestAccount) => Promise<void>;
  /**
   * The point at which a later attempt has the job and no daemon has heard of it. What the daemon of the attempt before says
   * then counts no more, and the hold has to wait for its time.
   */
  readonly unheard?: string;
}

/** Asks for something else: it is served, and charged what it costs. */
async function another(market: Market, consumer: TestAccount): Promise<void> {
  const before = await checkBooks(market, consumer);
  expect(await ask(market, consumer, "answer", { stream: true })).toMatchObject({ status: 200, complete: true });
  await market.quiet();
  const after = await checkBooks(market, consumer);
  expect(after.slice(before.length).map(({ charge }) => charge.millicredits)).toEqual([COST]);
}

/** A streamed job. */
export const STREAMED: Play = {
  ask: (market, consumer) => ask(market, consumer, "answer", { stream: true }),
  next: another,
};

const keyed = (market: Market, consumer: TestAccount) =>
  ask(market, consumer, "answer", { stream: false, key: consumer.account });

/** A plain call with an Idempotency-Key, which its client repeats until it knows how it ended. */
export const KEYED: Play = {
  ask: keyed,
  next: async (market, consumer) => {
    const before = await checkBooks(market, consumer);
    const { held } = await market.network.balance(consumer);
    const again = await keyed(market, consumer);
    await market.quiet();
    const charged = (await checkBooks(market, consumer)).map(({ charge }) => charge.millicredits);
    if (held > 0) {
      // Nobody runs the job any more, but its hold stands: the key has to wait until that expires.
      expect(again).toMatchObject({ status: 409, text: expect.stringContaining("in_progress") });
      expect(charged).toEqual([]);
      return;
    }
    if (before.length > 0)
      expect(again).toMatchObject({ status: 409, text: expect.stringContaining("already_completed") });
    else expect(again).toMatchObject({ status: 200, complete: true });
    expect(charged).toEqual([COST]);
  },
};

/** A job whose first daemon fails before its first token. */
export const MOVED: Play = {
  ask: (market, consumer) => ask(market, consumer, "move", { stream: true }),
  next: another,
};

/** A job whose first daemon loses its connection before its first token. */
export const LOST: Play = {
  ask: (market, consumer) => ask(market, consumer, "vanish", { stream: true }),
  next: another,
  unheard: "gateway: after Account.advance",
};

/** A stream that ends only with a kill. */
export const ENDLESS: Play = {
  ask: (market, consumer) => ask(market, consumer, "talk", { stream: true }),
  next: another,
};

/** A stream whose consumer goes away in the middle. */
export const CANCELLED: Play = {
  ask: (market, consumer) =>
    leaving(market, consumer, bodyOf("talk", { stream: true }), (text) => text.includes("word")),
  next: another,
};

/** A job that is cancelled over the API before its first token. */
export const CANCELLED_EARLY: Play = {
  ask: async (market, consumer) => {
    const asked = ask(market, consumer, "think", { stream: true });
    const running = () => market.daemons.flatMap(({ remembered }) => remembered)[0];
    await until(() => market.server.life.isOver || running() !== undefined, "a daemon that thinks");
    const { apiKey } = consumer;
    await market.network.call(`/api/v1/jobs/${running()}`, { method: "DELETE", apiKey }).catch(() => {});
    return await asked;
  },
  next: another,
};

/** A job that its only possible daemon declines. */
export const DECLINED: Play = {
  ask: (market, consumer) =>
    ask(market, consumer, "decline", { stream: false, body: { provider: { allow_fallbacks: false } } }),
  next: another,
};

/** A job that waits for a daemon, until its consumer goes away. */
export const ABANDONED: Play = {
  ask: async (market, consumer) => {
    const waits = async () => market.server.life.isOver || (await market.server.supply(UNSERVED.id)).waiting > 0;
    return await leaving(market, consumer, bodyOf("answer", { stream: true, model: UNSERVED.id }), waits);
  },
  next: another,
};

/** Asks, and cuts the connection as soon as something holds; resolves when it is cut, by whomever. */
async function leaving(
  { network, server }: Market,
  { apiKey }: TestAccount,
  body: object,
  when: (text: string) => boolean | Promise<boolean>,
): Promise<{ complete: false }> {
  let text = "";
  const sent = request(`${network.url}/v1/chat/completions`, {
    method: "POST",
    agent: false,
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
  });
  const closed = new Promise((resolve) => sent.once("close", resolve));
  sent.once("response", (response) => {
    response.setEncoding("utf8").on("data", (part: string) => (text += part));
    response.on("error", () => {});
  });
  sent.on("error", () => {});
  sent.end(JSON.stringify(body));
  await until(async () => server.life.isOver || (await when(text)), "the moment to leave");
  sent.socket?.resetAndDestroy();
  await closed;
  return { complete: false };
}
