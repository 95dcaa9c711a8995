import { describe, expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { serveHttp } from "./fake-engine.ts";
import { run } from "./run-cli.ts";

const JOB = "0351lUHhAi6TEjtsE4MAkV";
const DAEMON = "GGmq3rNyG9w86XP5sXbqRBvLdc76btk9ndKJeRk1WGjn";
const DONE = {
  job: JOB,
  check: "digest",
  daemon: DAEMON,
  model: "tiny-miller",
  provider: "0R7uXmQ2b1vXkYt3Zp9aLc",
  failed_at: "2026-11-25T12:00:00.000Z",
  state: "done",
  due: 0,
  reversed: 3,
  already_reversed: 1,
  refused: 1,
  amount: "246.000",
  amount_usd: "0.000246000",
};
const OPEN = { ...DONE, check: "signature", state: "reversing", due: 2, reversed: 0, amount: "0.000" };

/** A network with two pages of failed checks. */
async function network(data: readonly object[] = [OPEN, DONE]) {
  const asked: string[] = [];
  const url = await serveHttp((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    const isLast = data.length < 2 || request.url?.includes("cursor=") === true;
    const page = { data: isLast ? data.slice(1) : data.slice(0, 1), next: isLast ? null : JOB };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(page));
  });
  return {
    asked,
    checks: (...args: string[]) => run(["--url", url, "admin", "--key", "key-of-alice", "checks", ...args]),
  };
}

describe("tollmill admin checks", () => {
  it("lists every page for people and for programs", async () => {
    const { asked, checks } = await network();
    const { code, out } = await checks();
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/^failed \(UTC\) +state +check +model +daemon +job +due +reversed +others +credits$/m);
    expect(out).toMatch(/^2026-11-25 12:00 +reversing +signature +tiny-miller +GGmq\w+ +0351\w+ +2 +0 +2 +0\.000$/m);
    expect(out).toMatch(/^2026-11-25 12:00 +done +digest +tiny-miller +GGmq\w+ +0351\w+ +0 +3 +2 +246\.000$/m);
    const path = "GET /api/v1/admin/checks?limit=1000";
    expect(asked).toEqual([`${path} Bearer key-of-alice`, `${path}&cursor=${JOB} Bearer key-of-alice`]);
    const json = await checks("--json");
    expect(json.out.split("\n").map((line) => JSON.parse(line) as object)).toEqual([OPEN, DONE]);
  });

  it("lists only those that are not done, where that is asked for", async () => {
    const { checks } = await network();
    const { out } = await checks("--open", "--json");
    expect(out.split("\n").map((line) => JSON.parse(line) as object)).toEqual([OPEN]);
  });

  it("says so where there are none", async () => {
    const { checks } = await network([]);
    expect(await checks()).toEqual({ code: EXIT.ok, out: "", err: "No daemon has failed a check." });
    expect(await checks("--open")).toEqual({ code: EXIT.ok, out: "", err: "Every failed check is done." });
  });
});
