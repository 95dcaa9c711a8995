import { describe, expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, run } from "./run-cli.ts";

const ID = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin";
const ATTIC = {
  id: ID,
  account: "0R7uXmQ2b1vXkYt3Zp9aLc",
  name: "attic",
  payout: "credits",
  tier: "desktop",
  created_at: "2026-11-25T12:00:00.000Z",
  drained_at: null as string | null,
  connected: true,
  state: "serving",
};
const MODEL = {
  id: "qwen3-8b",
  quantization: "q4",
  context: 8_192,
  slots: 4,
  running: 1,
  tokens_per_second: 51.25,
  loaded: true,
  standing: {
    score: 0.926,
    verified: 23,
    graduation: { verified: 23, of: 50 },
    declined: 0,
    flagged: 0,
    tokens_per_second: 47.5,
    prefill_tokens_per_second: null,
    quarantine: null as object | null,
  },
};
const CONNECTION = {
  draining_by: [] as string[],
  withdrawn_by: [] as string[],
  schedule: "sat-sun in Europe/Berlin",
  on_ac_power: true,
  thermal: "warm",
  running: 1,
  models: [MODEL],
};
const SERVING = { ...ATTIC, connection: CONNECTION };
const DRAINED = {
  ...ATTIC,
  drained_at: "2026-11-25T13:00:00.000Z",
  state: "draining",
  connection: { ...CONNECTION, draining_by: ["account"] },
};

/** A network that keeps what it was asked. */
async function network(answer: (call: string) => unknown) {
  const asked: { call: string; body: unknown; authorization: string | undefined }[] = [];
  const url = await serveHttp((request, response, text) => {
    const call = `${request.method} ${request.url}`;
    const { authorization } = request.headers;
    asked.push({ call, authorization, body: text === "" ? null : JSON.parse(text) });
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer(call)));
  });
  const daemons = (...args: string[]) => run(["--url", url, "--api-key", API_KEY, "daemons", ...args]);
  const messages = (...args: string[]) => run(["--url", url, "admin", "--key", "key-of-alice", "messages", ...args]);
  return { asked, daemons, messages };
}

describe("tollmill daemons", () => {
  it("lists every page with the state of each, for people and for programs", async () => {
    const { connection: _, ...drained } = DRAINED;
    const { asked, daemons } = await network((call) =>
      call.includes("cursor=") ? { data: [drained], next: null } : { data: [ATTIC], next: ID },
    );
    const { code, out } = await daemons();
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/^id +name +state +tier +payout$/m);
    expect(out).toMatch(/^9xQe\w+ +attic +serving +desktop +credits$/m);
    expect(out).toMatch(/^9xQe\w+ +attic +draining, drained since 2026-11-25 13:00 UTC +desktop +credits$/m);
    const path = "GET /api/v1/daemons?limit=1000";
    expect(asked.map(({ call }) => call)).toEqual([path, `${path}&cursor=${ID}`]);
    const json = await daemons("--json");
    expect(json.out.split("\n").map((line) => JSON.parse(line) as object)).toEqual([ATTIC, drained]);
  });

  it("says so where there are none", async () => {
    const { daemons } = await network(() => ({ data: [], next: null }));
    expect(await daemons()).toMatchObject({ code: EXIT.ok, out: "", err: expect.stringContaining("has no daemons") });
  });

  it("shows one whole", async () => {
    const { daemons } = await network(() => SERVING);
    const { out } = await daemons("show", ID);
    expect(out).toMatch(/^state +serving$/m);
    expect(out).toMatch(/^schedule +sat-sun in Europe\/Berlin$/m);
    expect(out).toMatch(/^power +AC$/m);
    expect(out).toMatch(/^heat +warm$/m);
    expect(out).toMatch(/^qwen3-8b +q4 +8192 +1 of 4 +51\.3 +yes +0\.93 +newcomer, 23 of 50 jobs$/m);
    const since = "2026-11-25T12:00:00.000Z";
    const quarantine = { why: "failed_verification", since, next_probe_at: since, passed: 1, of: 3 };
    const distrusted = { ...MODEL, standing: { ...MODEL.standing, quarantine } };
    const probed = await network(() => ({ ...ATTIC, connection: { ...CONNECTION, models: [distrusted] } }));
    expect((await probed.daemons("show", ID)).out).toMatch(/quarantine, 1 of 3 probes passed$/m);
    const withdrawn = { ...CONNECTION, models: [], withdrawn_by: ["ac_power"], on_ac_power: false, schedule: null };
    const other = await network(() => ({ ...ATTIC, state: "withdrawn", connection: withdrawn }));
    const shown = (await other.daemons("show", ID)).out;
    expect(shown).toMatch(/^withdrawn by +ac_power$/m);
    expect(shown).toMatch(/^power +battery$/m);
    expect(shown).toMatch(/^schedule +always$/m);
    const offline = await network(() => ({ ...ATTIC, state: "offline", connected: false, connection: null }));
    expect((await offline.daemons("show", ID, "--json")).out).toContain('"connection":null');
    expect((await offline.daemons("show", ID)).out).not.toContain("schedule");
  });

  it("drains and resumes, and says what that means", async () => {
    const { asked, daemons } = await network((call) => (call.endsWith("drain") ? DRAINED : SERVING));
    const drained = await daemons("drain", ID);
    expect(drained).toMatchObject({ code: EXIT.ok, out: "" });
    expect(drained.err).toBe(`attic gets no new jobs until tollmill daemons resume ${ID}. It still runs 1.`);
    expect((await daemons("resume", ID)).err).toBe("attic is not drained any more: serving.");
    expect(JSON.parse((await daemons("drain", ID, "--json")).out)).toEqual(DRAINED);
    const base = `POST /api/v1/daemons/${ID}`;
    expect(asked.map(({ call }) => call)).toEqual([`${base}/drain`, `${base}/resume`, `${base}/drain`]);
  });

  it("asks nothing for an id that is none", async () => {
    const { asked, daemons } = await network(() => SERVING);
    const { code, err } = await daemons("drain", "../keys");
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining("is no daemon's id")]);
    expect(asked).toEqual([]);
  });
});

const MESSAGE = {
  id: "deploy-1",
  level: "warning",
  text: "A deploy at noon.",
  daemon: null as string | null,
  account: null as string | null,
  until: "2026-12-01T12:00:00.000Z",
  sent_by: "alice",
  sent_at: "2026-11-25T12:00:00.000Z",
  withdrawn_at: null as string | null,
};

describe("tollmill admin messages", () => {
  it("sends to whom it is told", async () => {
    const { asked, messages } = await network(() => ({ ...MESSAGE, told: 3 }));
    const send = ["send", "A deploy at noon.", "--until", "2026-12-01T12:00:00Z", "--level", "warning"];
    const { code, err } = await messages(...send, "--all", "--id", "deploy-1");
    expect(code).toBe(EXIT.ok);
    expect(err).toContain("Sending under --id deploy-1: A deploy at noon.");
    expect(err).toContain("3 connected daemons were told");
    await messages(...send, "--daemon", ID, "--id", "deploy-1");
    await messages(...send, "--account", ATTIC.account, "--id", "deploy-1");
    const { level, text, until, id } = MESSAGE;
    const body = { id, level, text, until };
    expect(asked.map((each) => each.body)).toEqual([
      { ...body, all: true },
      { ...body, daemon: ID },
      { ...body, account: ATTIC.account },
    ]);
    expect(asked[0]).toMatchObject({ call: "POST /api/v1/admin/messages", authorization: "Bearer key-of-alice" });
    for (const to of [[], ["--all", "--daemon", ID]]) {
      expect(await messages(...send, ...to)).toMatchObject({
        code: EXIT.usage,
        err: expect.stringContaining("--all."),
      });
    }
    expect(await messages(...send, "--all", "--id", "..")).toMatchObject({ code: EXIT.usage });
    expect(asked).toHaveLength(3);
  });

  it("lists and withdraws", async () => {
    const withdrawn = { ...MESSAGE, id: "to-one", daemon: ID, withdrawn_at: "2026-11-25T14:00:00.000Z" };
    const { asked, messages } = await network((call) =>
      call.startsWith("DELETE") ? withdrawn : { data: [MESSAGE, withdrawn], next: null },
    );
    const { out } = await messages("list");
    expect(out).toMatch(
      /^deploy-1 +2026-11-25 12:00 +alice +all +until 2026-12-01 12:00 +warning +A deploy at noon\.$/m,
    );
    expect(out).toMatch(/^to-one +2026-11-25 12:00 +alice +daemon 9xQe\w+ +withdrawn 2026-11-25 14:00 +warning +A/m);
    expect((await messages("list", "--json")).out.split("\n")).toHaveLength(2);
    expect((await messages("withdraw", "to-one")).err).toContain("Nobody is told to-one any more");
    expect(asked.at(-1)?.call).toBe("DELETE /api/v1/admin/messages/to-one");
  });
});
