import { expect, it } from "vitest";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import { addDaemon, addModel, balance, call, chat, credit, openAccount, receiptsOf, withKey } from "../job/network.ts";

const REQUESTS = 1_000;
const SERVED = 300;
/** A job of 100 completion tokens and a prompt bound of 10 costs as much at most, and here each costs that. */
const PRICE = 100 * 80 + 10 * 20;

const usd = (nanoUsd: number) => (nanoUsd / 1e9).toFixed(9);

function answer(job: ScriptedJob): void {
  job.accept();
  job.text("x".repeat(100), 100);
  job.done({ usage: { prompt: 10, completion: 100 } });
}

it("serves exactly three hundred of a thousand parallel requests on a key with a budget for three hundred", async () => {
  await addModel();
  const [consumer, provider] = [await openAccount(false), await openAccount(false)];
  await credit(consumer, "topup", usd(REQUESTS * PRICE), "paid");
  await addDaemon(provider, { offer: { slots: 512 }, onJob: answer });
  const asOwner = withKey(consumer.apiKey, { "content-type": "application/json" });
  const budget = { usd: usd(SERVED * PRICE), reset: "monthly" };
  const made = await call("/api/v1/keys", {
    method: "POST",
    body: JSON.stringify({ name: "app", budget }),
    ...asOwner,
  });
  const { key } = await made.json<{ key: string }>();

  const ask = async (stream: boolean) => {
    const response = await chat(key, { max_tokens: 100, stream });
    const text = await response.text();
    return { status: response.status, text };
  };
  const answers = await Promise.all(Array.from({ length: REQUESTS }, (_, index) => ask(index % 2 === 0)));
  const refused = answers.filter(({ status }) => status !== 200).map(({ status, text }) => [status, JSON.parse(text)]);
  expect(answers.length - refused.length).toBe(SERVED);
  expect(new Set(refused.map(([status, { error }]) => `${status} ${error.code}`))).toEqual(
    new Set(["402 budget_exceeded"]),
  );
  // Every answer that came with 200 is whole.
  expect(answers.filter(({ status, text }) => status === 200 && text.includes("x".repeat(100)))).toHaveLength(SERVED);

  const receipts = await receiptsOf(consumer);
  expect(receipts.map(({ charge }) => charge.nano_usd)).toEqual(Array.from({ length: SERVED }, () => PRICE));
  expect(await balance(consumer.apiKey)).toEqual({ available: (REQUESTS - SERVED) * PRICE, held: 0 });
  const { data } = await (await call("/api/v1/keys", asOwner)).json<{ data: { name: string; budget: object }[] }>();
  expect(data.find(({ name }) => name === "app")?.budget).toMatchObject({
    ...budget,
    spent_usd: budget.usd,
    held_usd: usd(0),
  });
}, 120_000);
