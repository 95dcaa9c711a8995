/** The reverse auction on the running network: who wins, what is charged, and what is published (economics.md §4). */

import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { drawCommitment, drawDay, drawSecret } from "../../../core/auction/draw.ts";
import { type AuctionRecord, recomputeAuction } from "../../../core/auction/record.ts";
import { hexToBytes } from "../../../core/receipt/canonical.ts";
import { DAY_MS } from "../../../core/time.ts";
import { type Market, market as marketShape } from "../../../protocol/network/market.ts";
import { configOf } from "../../../workers/config.ts";
import { publishDraws } from "../../../workers/cron/publish-draws.ts";
import { testSecrets } from "../../secrets.ts";
import { answering, offerOf } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  addModel,
  balance,
  call,
  chat,
  onlyReceipt,
  openAccount,
  openMarket,
  readUntil,
  STARTER,
  supply,
  until,
  withKey,
} from "./network.ts";

/** At 0.12 USD/kWh and 1,000 tokens a second a watt comes to 40 nanoUSD for 1,000 tokens; daemons ask twice that. */
const askOf = (watts: number) => watts * 80;

async function errorOf(response: Response) {
  const { error } = await response.json<{ error: { code: string; metadata: Record<string, string> } }>();
  return [response.status, error.code, error.metadata] as const;
}

it("gives a job to the lowest ask, charges just that, and publishes how it came about", async () => {
  const { consumer, provider } = await openMarket();
  const other = await openAccount();
  const words = answering(Array.from({ length: 13 }, () => " word"));
  const dear = await addDaemon(provider, { number: 1, watts: 617, onJob: words });
  const cheap = await addDaemon(other, { number: 2, watts: 431, onJob: words });
  await until(async () => (await supply("test-model")).daemons === 2);
  const response = await chat(consumer.apiKey);
  expect(response.status).toBe(200);
  expect([dear.jobs.length, cheap.jobs.length]).toEqual([0, 1]);
  const receipt = await onlyReceipt(consumer);
  const ask = askOf(431);
  // 13 completion tokens and 8 prompt tokens, which weigh a quarter.
  const due = Math.ceil((ask * (13 + 8 / 4)) / 1_000);
  expect(receipt).toMatchObject({
    lane: "public",
    daemon: cheap.key.id,
    provider: other.account,
    price: { asks: 2, winning_ask: ask, second_ask: askOf(617), floor: ask / 2, nano_usd_per_1k: ask },
    charge: { nano_usd: due },
  });
  expect(STARTER - (await balance(consumer.apiKey)).available).toBe(due);

  const path = `/api/v1/market/auctions/${receipt.job}`;
  await until(async () => (await call(path)).status === 200, "the record", 20_000);
  const record = await (await call(path)).json<AuctionRecord>();
  expect(record).toMatchObject({
    pool: `${env.TOLLMILL_REGION}/test-model`,
    max: 80_000,
    demand: { basis_points: 10_000, slots: 16, running: 0, queued: 0 },
    standing_asks: 2,
    winner: cheap.key.id,
    winning_ask: ask,
    second_ask: askOf(617),
  });
  // Nothing in it says whose job it was.
  expect(JSON.stringify(record)).not.toContain(consumer.account);
  const secret = drawSecret(hexToBytes(testSecrets.EDGE_KEY), record.draw?.day ?? 0);
  expect(recomputeAuction(record, secret)).toEqual(record);
  expect(recomputeAuction({ ...record, asks: record.asks.slice(1) }, secret)).not.toEqual(record);
  expect((await call("/api/v1/market/auctions/0R7uXmQ2b1vXkYt3Zp9aLc")).status).toBe(404);
}, 40_000);

it("serves a job below the catalog's rate where the request allows no more, and tells the lowest ask where nobody does", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { watts: 500 });
  const refused = await errorOf(await chat(consumer.apiKey, { provider: { max_price: "0.000039999" } }));
  expect(refused).toMatchObject([503, "no_bid", { lowest_ask: "0.000040000", max_price: "0.000039999" }]);
  expect((await balance(consumer.apiKey)).held).toBe(0);
  const response = await chat(consumer.apiKey, { provider: { max_price: "0.00004" } });
  expect(response.status).toBe(200);
  expect((await onlyReceipt(consumer)).price).toMatchObject({ winning_ask: 40_000, second_ask: null, asks: 1 });
});

it("pays the cheapest floor and its margin where the catalog's rate pays nobody's power", async () => {
  const { consumer, provider } = await openMarket();
  const model = (
    await addModel({ id: "underpriced", rates: { completion_nano_usd_per_1k: 100, prompt_nano_usd_per_1k: 25 } })
  ).id;
  const daemon = await addDaemon(provider, { model, watts: 500 });
  // Its own margin of 2 is more than a job pays that names nothing …
  expect(await errorOf(await chat(consumer.apiKey, { model }))).toMatchObject([
    503,
    "no_bid",
    { lowest_ask: "0.000040000", max_price: "0.000022000" },
  ]);
  // … and without one it asks just what such a job pays.
  const { prices: _, ...offer } = offerOf(model, {}, 500);
  daemon.send(offer);
  await until(async () => (await chat(consumer.apiKey, { model })).status === 200);
  expect((await onlyReceipt(consumer)).price).toMatchObject({
    winning_ask: 22_000,
    nano_usd_per_1k: 22_000,
    floor: 20_000,
  });
  const estimate = await call("/api/v1/estimate", {
    method: "POST",
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
    ...withKey(consumer.apiKey, { "content-type": "application/json" }),
  });
  expect(await estimate.json()).toMatchObject({ lane: "public", per_1k: "0.100", lowest_ask: "22.000" });
});

it("never gives an account its own job", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(consumer, { number: 1, watts: 10 });
  const other = await addDaemon(provider, { number: 2, watts: 500 });
  await until(async () => (await supply("test-model")).daemons === 2);
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(other.jobs).toHaveLength(1);
  expect((await onlyReceipt(consumer)).price.winning_ask).toBe(askOf(500));
});

it("shows queues, asks and demand, once or as they change", async () => {
  const { provider } = await openMarket();
  await addDaemon(provider, { number: 1, watts: 500 });
  const pool = ({ pools }: Market) => pools.find(({ model }) => model === "test-model");
  await until(async () => {
    const now = marketShape.parse(await (await call("/api/v1/market")).json());
    return pool(now)?.asks.count === 1;
  }, "the market");
  const now = marketShape.parse(await (await call("/api/v1/market")).json());
  expect(pool(now)).toMatchObject({
    region: env.TOLLMILL_REGION,
    supply: { daemons: 1, slots: 8, free: 8 },
    demand: "1.0000",
    asks: { count: 1, lowest: "0.000040000", median: "0.000040000" },
  });

  const events = await call("/api/v1/market", { headers: { accept: "text/event-stream" } });
  expect(events.headers.get("content-type")).toContain("text/event-stream");
  const reader = (events.body as ReadableStream<Uint8Array>).getReader();
  expect(await readUntil(reader, "\n\n")).toMatch(/^event: snapshot\ndata: \{"type":"snapshot"/);
  await addDaemon(provider, { number: 2, watts: 250 });
  expect(await readUntil(reader, '"lowest":"0.000020000"')).toContain("event: snapshot");
  await reader.cancel();

  const { webSocket } = await call("/api/v1/market", { headers: { upgrade: "websocket" } });
  if (webSocket === null) throw new Error("no socket");
  const first = new Promise<string>((resolve) =>
    webSocket.addEventListener("message", ({ data }) => resolve(String(data))),
  );
  webSocket.accept();
  expect(pool(marketShape.parse(JSON.parse(await first)))?.asks.count).toBe(2);
  webSocket.close();
}, 20_000);

it("commits to the secret of each day before it begins, and reveals it when it is over", async () => {
  const noon = Date.UTC(2026, 10, 25, 12);
  const today = drawDay(noon);
  await publishDraws(env, noon);
  await publishDraws(env, noon + 60_000);
  const draws = async (day: number) =>
    await (await call(`/api/v1/market/draws/${day}`)).json<{
      commitment: string;
      secret: string | null;
      in_time: boolean;
    }>();
  const secret = drawSecret(configOf(env).edgeKey, today + 1);
  expect(await draws(today + 1)).toMatchObject({ commitment: drawCommitment(secret), in_time: true, secret: null });
  expect(await draws(today)).toMatchObject({ in_time: false, secret: null });
  await publishDraws(env, noon + 2 * DAY_MS);
  const revealed = await draws(today + 1);
  expect(drawCommitment(hexToBytes(revealed.secret ?? ""))).toBe(revealed.commitment);
  expect((await draws(today + 2)).secret).toBeNull();
  expect((await call(`/api/v1/market/draws/${today + 99}`)).status).toBe(404);
  const { data } = await (await call("/api/v1/market/draws")).json<{ data: { day: number }[] }>();
  expect(data.map(({ day }) => day)).toContain(today + 7);
});
