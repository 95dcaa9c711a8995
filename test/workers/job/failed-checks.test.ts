/** A daemon that fails a check, over the real queue: what it had earned with that model goes back to those who paid. */

import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import type { CheckReversalRow } from "../../../db/checks.ts";
import { addDaemon, balance, call, chat, openAccount, openMarket, STARTER } from "./network.ts";

it("gives two consumers back within seconds what a daemon had earned that then lies", { timeout: 60_000 }, async () => {
  const { consumer, provider } = await openMarket();
  const other = await openAccount();
  let lies = false;
  // A daemon of its own: what another test's jobs left in the queue may come meanwhile.
  await addDaemon(provider, {
    number: 41,
    onJob: (job) => {
      job.accept();
      job.text("Hello");
      job.done({}, lies ? { digest: { ...job.claim().digest, response: "00".repeat(32) } } : {});
    },
  });
  for (const { apiKey } of [consumer, other, consumer]) expect((await chat(apiKey)).status).toBe(200);
  const spent = [(await balance(consumer.apiKey)).available, (await balance(other.apiKey)).available];
  expect(spent.map((available) => available < STARTER)).toEqual([true, true]);
  lies = true;
  expect((await chat(other.apiKey)).status).toBe(502);
  await vi.waitFor(
    async () => {
      expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
      expect(await balance(other.apiKey)).toEqual({ available: STARTER, held: 0 });
    },
    { timeout: 30_000, interval: 200 },
  );
  const states = async () => {
    const rows = env.DB.prepare("SELECT * FROM check_reversals").all<CheckReversalRow>();
    return (await rows).results.map(({ state }) => state);
  };
  await vi.waitFor(async () => expect(await states()).toEqual(["reversed", "reversed", "reversed"]), {
    timeout: 10_000,
  });
  expect(await (await call("/api/v1/invariants")).json()).toMatchObject({ ok: true });
});
