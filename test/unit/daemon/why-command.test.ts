import { describe, expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { serveHttp } from "./fake-engine.ts";
import { run } from "./run-cli.ts";

const DAEMON = "GGmq3rNyG9w86XP5sXbqRBvLdc76btk9ndKJeRk1WGjn";
const POOL = {
  model: "tiny-miller",
  region: "local",
  since: "2026-11-25T12:00:00.000Z",
  decisions: 20,
  chosen: 5,
  passed_over: [
    {
      reason: "floor",
      count: 12,
      over: { least: "0.000000400", most: "0.000010400" },
      meaning: "Its power costs more than the jobs paid.",
      fix: "Serve faster.",
    },
    { reason: "full", count: 3, over: null, meaning: "It had no free slot.", fix: "Raise --slots." },
  ],
};
const LISTED = {
  id: DAEMON,
  account: "0R7uXmQ2b1vXkYt3Zp9aLc",
  name: "attic",
  payout: "credits",
  tier: "desktop",
  created_at: "2026-11-25T12:00:00.000Z",
  connected: true,
  drained_at: null,
  state: "serving",
};

async function network(pools: readonly object[] = [POOL], listed: readonly object[] = [LISTED]) {
  const asked: string[] = [];
  const url = await serveHttp((request, response) => {
    asked.push(request.url ?? "");
    const isWhy = request.url?.includes("/why") === true;
    const body = isWhy ? { daemon: DAEMON, offered: [], pools } : { data: listed, next: null };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  return { asked, why: (...args: string[]) => run(["--url", url, "why", ...args]) };
}

describe("tollmill why", () => {
  it("shows for each of the account's daemons what kept it from jobs, the most frequent first", async () => {
    const { asked, why } = await network();
    const { code, out } = await why();
    expect(code).toBe(EXIT.ok);
    expect(asked).toEqual(["/api/v1/daemons?limit=1000", `/api/v1/daemons/${DAEMON}/why`]);
    expect(out.split("\n").map((line) => line.replace(/ {2,}/g, "  ").trim())).toEqual([
      DAEMON,
      "tiny-miller in local: chosen in 5 of 20 decisions looked into since 12:00 UTC",
      "times  reason  over, USD per 1k  what to do",
      "12  floor  0.000000400 to 0.000010400  Serve faster.",
      "3  full  Raise --slots.",
    ]);
  });

  it("asks about one daemon and one model, and writes a line of JSON for each pool", async () => {
    const { asked, why } = await network();
    const { out } = await why(DAEMON, "--model", "maker/eight", "--json");
    expect(asked).toEqual([`/api/v1/daemons/${DAEMON}/why?model=maker%2Feight`]);
    expect(JSON.parse(out)).toEqual({ daemon: DAEMON, ...POOL });
  });

  it("says so where there is nothing to tell", async () => {
    expect((await (await network([])).why(DAEMON)).out).toContain("It offers no model");
    expect((await (await network([], [])).why()).err).toContain("no daemons");
    expect((await (await network()).why("../keys")).code).toBe(EXIT.usage);
  });
});
