import { describe, expect, it } from "vitest";
import { holdAuction } from "../../../core/auction/auction.ts";
import { demandOf } from "../../../core/auction/demand.ts";
import { Draws, drawCommitment, drawSecret } from "../../../core/auction/draw.ts";
import { type AuctionRecord, recordAuction } from "../../../core/auction/record.ts";
import type { DaemonId, JobId } from "../../../core/ids.ts";
import { bytesToHex } from "../../../core/receipt/canonical.ts";
import { nanoUsd } from "../../../core/units.ts";
import { EXIT } from "../../../daemon/failure.ts";
import { keyOf } from "../../support/receipts.ts";
import { bidder, bookOf, parameters } from "../auction/support.ts";
import { serveHttp } from "./fake-engine.ts";
import { run } from "./run-cli.ts";

const DAY = 20_782;
const secret = drawSecret(new Uint8Array(32).fill(5), DAY);
const draws = new Draws(secret, DAY);
const JOB = "0351lUHhAi6TEjtsE4MAkV" as JobId;
const [old, young] = ["old", "young"].map((name) => keyOf(name).id) as [DaemonId, DaemonId];

function recorded(): AuctionRecord {
  const load = { slots: 10, running: 8, queued: 0 };
  const demand = demandOf(load, parameters);
  if (demand === null) throw new Error("there are slots");
  const question = { job: JOB, max: nanoUsd(80_000), demand };
  const book = bookOf([bidder(old, { floor: 30_400 }), bidder(young, { floor: 31_000, newcomer: true })]);
  const auction = holdAuction(question, book, () => true, draws, parameters);
  if (auction === null) throw new Error("somebody wins");
  return recordAuction(
    question,
    { pool: "local/tiny-miller", at: DAY * 86_400_000, load, standingAsks: 2 },
    auction,
    parameters,
  );
}

async function auction(record: AuctionRecord, revealed: Uint8Array | null, ...args: string[]) {
  const day = {
    day: DAY,
    date: "2026-11-25",
    commitment: drawCommitment(secret),
    published_at: "2026-11-18T00:00:00.000Z",
    in_time: true,
    secret: revealed === null ? null : bytesToHex(revealed),
  };
  const url = await serveHttp((request, response) => {
    const found = request.url === `/api/v1/market/auctions/${JOB}` ? record : day;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(found));
  });
  return await run(["--url", url, "market", "auction", JOB, ...args]);
}

describe("tollmill market auction", () => {
  it("shows who asked what, and that the outcome follows from it", async () => {
    const record = recorded();
    const { code, out } = await auction(record, secret, "--verify");
    expect(out).toContain("demand 1.5000: 10 slots, 8 running, 0 waiting; 2 standing asks");
    expect(out).toMatch(new RegExp(`^\\* ${record.winner} +0\\.0000304`, "m"));
    expect(out).toContain("✓ asks, demand, draw and winner follow from the record and the day's secret");
    expect(code).toBe(EXIT.ok);
    expect((await auction(record, null, "--verify")).out).toContain("can be checked once the day is over");
    expect(JSON.parse((await auction(record, null, "--json")).out)).toEqual(record);
  });

  it.each([
    [
      "an ask that is too high",
      (record: AuctionRecord) => ({ ...record, winning_ask: nanoUsd(record.winning_ask + 1) }),
    ],
    ["another winner", (record: AuctionRecord) => ({ ...record, winner: record.winner === old ? young : old })],
    ["another demand", (record: AuctionRecord) => ({ ...record, demand: { ...record.demand, running: 9 } })],
    [
      "a draw that was not",
      (record: AuctionRecord) => ({ ...record, draw: { day: DAY, drawn: true, among: [young] }, winner: young }),
    ],
  ])("says so of %s", async (_, bend) => {
    const { code, out } = await auction(bend(recorded()), secret, "--verify");
    expect(out).toContain("✗ the asks, the demand or the draw lead to another outcome");
    expect(code).toBe(EXIT.refused);
  });

  it("says so of a secret that is not the one committed to", async () => {
    const { code, out } = await auction(recorded(), new Uint8Array(32), "--verify");
    expect([code, out.includes("✗ the day's secret")]).toEqual([EXIT.refused, true]);
  });
});

it("shows the market, pool by pool, and sends no key", async () => {
  const lane = (name: string, waiting: number, share: number) => ({
    lane: name,
    class: "open",
    waiting,
    running: 1,
    units: 10,
    share,
  });
  const found = {
    type: "snapshot",
    at: "2026-11-25T12:00:00.000Z",
    pools: [
      {
        model: "tiny-miller",
        region: "local",
        supply: { daemons: 2, slots: 10, free: 4 },
        lanes: [lane("public", 3, 0.25)],
        demand: "1.5000",
        asks: { count: 2, lowest: "0.000050160", median: "0.000050160" },
      },
    ],
  };
  const keys: (string | undefined)[] = [];
  const url = await serveHttp((request, response) => {
    keys.push(request.headers.authorization);
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(found));
  });
  const { code, out } = await run(["--url", url, "market"]);
  expect([code, keys]).toEqual([EXIT.ok, [undefined]]);
  expect(out).toMatch(/^tiny-miller +local +4\/10 +3 +2 +0\.000050160 +0\.000050160 +1\.5000$/m);
  expect(out).toMatch(/^public +3 +1 +25\.0 %$/m);
});
