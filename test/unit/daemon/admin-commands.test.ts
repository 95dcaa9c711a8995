import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { tempFolder } from "./bench.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, NOWHERE, run } from "./run-cli.ts";

const ACCOUNT = "0R7uXmQ2b1vXkYt3Zp9aLc";
const JOB = "0351lUHhAi6TEjtsE4MAkV";
const KEY = "key-of-alice";
const PATH = "/api/v1/admin/reversals";

const REVERSAL = {
  id: "r-1",
  account: ACCOUNT,
  job: JOB,
  reason: "the answer was empty",
  amount: "82.000",
  amount_usd: "0.000082000",
  state: "proposed",
  proposed_by: "alice",
  proposed_at: "2026-11-25T12:00:00.000Z",
  expires_at: "2026-12-02T12:00:00.000Z",
  approved_by: null as string | null,
  approved_at: null as string | null,
  declined_by: null as string | null,
  declined_at: null as string | null,
  seq: null as number | null,
  outcome: null as string | null,
};
const REVERSED = {
  ...REVERSAL,
  state: "reversed",
  approved_by: "bob",
  approved_at: "2026-11-25T13:00:00.000Z",
  seq: 7,
  outcome: "reversed",
};
const ABOUT = `82.000 credits (0.000082000 USD) of job ${JOB} back to ${ACCOUNT}, proposed by alice: the answer was empty`;

/** A network that keeps what it was asked. */
async function network(answer: (call: string) => unknown, status = 200) {
  const asked: { call: string; body: unknown; authorization: string | undefined }[] = [];
  const url = await serveHttp((request, response, text) => {
    const call = `${request.method} ${request.url}`;
    const { authorization } = request.headers;
    asked.push({ call, body: text === "" ? null : JSON.parse(text), authorization });
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer(call)));
  });
  const reversals = (...args: string[]) => run(["--url", url, "admin", "--key", KEY, "reversals", ...args]);
  return { url, asked, reversals };
}

describe("tollmill admin reversals", () => {
  it("lists every page for people and for programs", async () => {
    const { asked, reversals } = await network((call) =>
      call.includes("cursor=") ? { data: [REVERSED], next: null } : { data: [REVERSAL], next: "1:r-1" },
    );
    const { code, out } = await reversals("list");
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/^id +proposed \(UTC\) +state +credits +by +decided by +job +reason$/m);
    expect(out).toMatch(/^r-1 +2026-11-25 12:00 +proposed +82\.000 +alice +0351\w+ +the answer was empty$/m);
    expect(out).toMatch(/^r-1 +2026-11-25 12:00 +reversed +82\.000 +alice +bob +0351\w+ +the answer was empty$/m);
    expect(asked.map(({ call }) => call)).toEqual([`GET ${PATH}?limit=1000`, `GET ${PATH}?limit=1000&cursor=1%3Ar-1`]);
    expect(asked[0]?.authorization).toBe(`Bearer ${KEY}`);
    const json = await reversals("list", "--json", "--state", "proposed");
    expect(json.out.split("\n").map((line) => JSON.parse(line) as object)).toEqual([REVERSAL, REVERSED]);
    expect(asked.at(-1)?.call).toBe(`GET ${PATH}?limit=1000&state=proposed&cursor=1%3Ar-1`);
  });

  it("says so where there are none", async () => {
    const { reversals } = await network(() => ({ data: [], next: null }));
    expect(await reversals("list", "--state", "expired")).toEqual({
      code: EXIT.ok,
      out: "",
      err: "There are no reversals that are expired.",
    });
  });

  it("says what it proposes before it does, and what would come of it", async () => {
    const { asked, reversals } = await network(() => REVERSAL);
    const { code, out, err } = await reversals("propose", ACCOUNT, JOB, "--reason", REVERSAL.reason, "--id", "r-1");
    expect([code, out]).toEqual([EXIT.ok, `r-1: ${ABOUT}`]);
    expect(err.split("\n")).toEqual([
      `Proposing under --id r-1 to take back the receipt of job ${JOB}: the answer was empty`,
      `Another operator decides until ${REVERSAL.expires_at}: tollmill admin reversals approve r-1`,
    ]);
    const body = { id: "r-1", account: ACCOUNT, job: JOB, reason: REVERSAL.reason };
    expect(asked).toEqual([{ call: `POST ${PATH}`, body, authorization: `Bearer ${KEY}` }]);
    const json = await reversals("propose", ACCOUNT, JOB, "--reason", "x", "--json");
    expect(JSON.parse(json.out)).toEqual(REVERSAL);
    expect(asked.at(-1)?.body).toMatchObject({ id: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown });
  });

  it("approves nothing without --yes, and says what it would do", async () => {
    const { asked, reversals } = await network((call) => (call.startsWith("GET") ? REVERSAL : REVERSED));
    const before = await reversals("approve", "r-1");
    expect([before.code, before.out]).toEqual([EXIT.ok, `r-1: ${ABOUT}`]);
    expect(before.err).toContain("To do it: tollmill admin reversals approve r-1 --yes");
    expect(asked.map(({ call }) => call)).toEqual([`GET ${PATH}/r-1`]);
    const after = await reversals("approve", "r-1", "--yes");
    expect(after).toEqual({
      code: EXIT.ok,
      out: `r-1: ${ABOUT}\nReversed by entry 7, approved by bob.`,
      err: `Approving: ${ABOUT}`,
    });
    expect(asked.map(({ call }) => call).slice(1)).toEqual([`GET ${PATH}/r-1`, `POST ${PATH}/r-1/approve`]);
    expect(JSON.parse((await reversals("approve", "r-1", "--yes", "--json")).out)).toEqual(REVERSED);
  });

  it.each([
    [{ ...REVERSED, outcome: "already_reversed" }, "The receipt was taken back before, by entry 7."],
    [{ ...REVERSED, state: "approved", seq: null, outcome: null }, "not carried out yet: approve it again."],
    [{ ...REVERSED, state: "refused", seq: null, outcome: "nothing_to_reverse" }, "Refused by the account: nothing_to"],
    [{ ...REVERSAL, state: "declined", declined_by: "bob" }, "Declined by bob."],
    [{ ...REVERSAL, state: "expired" }, "Expired: nobody decided in time."],
  ])("tells how one ended (%#)", async (reversal, words) => {
    const { reversals } = await network(() => reversal);
    const { code, out, err } = await reversals("approve", "r-1");
    expect([code, out]).toEqual([EXIT.ok, expect.stringContaining(words) as unknown]);
    expect(err.includes("To do it")).toBe(reversal.state === "approved");
  });

  it("declines after saying what", async () => {
    const declined = { ...REVERSAL, state: "declined", declined_by: "bob" };
    const { asked, reversals } = await network((call) => (call.startsWith("GET") ? REVERSAL : declined));
    expect(await reversals("decline", "r-1")).toEqual({
      code: EXIT.ok,
      out: `r-1: ${ABOUT}\nDeclined by bob.`,
      err: `Declining: ${ABOUT}`,
    });
    expect(asked.map(({ call }) => call)).toEqual([`GET ${PATH}/r-1`, `POST ${PATH}/r-1/decline`]);
  });

  it("ends with the code of a refusal, in the network's words", async () => {
    const { reversals } = await network(() => ({ code: "second_operator_needed", detail: "Two are needed." }), 403);
    const { code, err } = await reversals("approve", "r-1", "--yes", "--json");
    expect([code, JSON.parse(err)]).toEqual([
      EXIT.refused,
      { error: { message: "Two are needed.", exit_code: EXIT.refused } },
    ]);
  });

  it.each([
    [["propose", ACCOUNT, JOB], "--reason"],
    [["propose", "laptop", JOB, "--reason", "x"], "laptop is no account id"],
    [["propose", ACCOUNT, "../x", "--reason", "x"], "../x is no job id"],
    [["propose", ACCOUNT, JOB, "--reason", "x", "--id", "a b"], "a proposal's id must be 1 to 64 characters"],
    [["approve", ".."], "a proposal's id must begin with a letter or a digit"],
    [["decline", "a/b"], "a proposal's id must be 1 to 64 characters"],
    [["list", "--state", "done"], "proposed, approved, reversed, refused, declined, expired"],
  ])("%j gets a named error before anything is asked", async (args, words) => {
    const { code, err } = await run(["--url", NOWHERE, "admin", "--key", KEY, "reversals", ...args]);
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining(words) as unknown]);
  });
});

describe("an operator's key", () => {
  const list = ["admin", "reversals", "list"];

  it("comes from the flag, then the environment, then the local network", async () => {
    const { url, asked } = await network(() => ({ data: [], next: null }));
    const folder = tempFolder();
    mkdirSync(join(folder, ".tollmill"));
    writeFileSync(
      join(folder, ".tollmill", "dev.json"),
      JSON.stringify({ url, apiKey: API_KEY, adminKey: "of-the-file" }),
    );
    const env = { TOLLMILL_ADMIN_KEY: "of-the-environment" };
    await run([...list, "--key", "of-the-flag"], { folder, env });
    await run(list, { folder, env });
    await run(list, { folder });
    expect(asked.map(({ authorization }) => authorization)).toEqual([
      "Bearer of-the-flag",
      "Bearer of-the-environment",
      "Bearer of-the-file",
    ]);
  });

  it.each([
    [[], {}, "An operator's key is missing. Give it with --key or TOLLMILL_ADMIN_KEY."],
    // An account's key is no operator's.
    [["--api-key", API_KEY], {}, "An operator's key is missing."],
    [["--key", "alice:key-of-alice"], {}, "no colon"],
    [["--key", "short"], {}, "8 or more"],
  ])("%j is asked for before anything else", async (flags, env, words) => {
    const { code, err } = await run(["--url", NOWHERE, ...list, ...flags], { env });
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining(words) as unknown]);
    expect(err).not.toContain("key-of-alice");
  });
});
