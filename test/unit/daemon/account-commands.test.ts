import { describe, expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, NOWHERE, run } from "./run-cli.ts";

const ID = "0R7uXmQ2b1vXkYt3Zp9aLc";
const TEXT = `tm_${"B".repeat(71)}`;

const KEY = {
  id: ID,
  name: "ci",
  member: ID,
  created_at: "2026-11-22T12:00:00.000Z",
  revoked_at: null as string | null,
  expires_at: null as string | null,
  rotated_at: null,
  old_secret_until: null as string | null,
  scopes: ["inference", "read"],
  models: null as string[] | null,
  requests_per_minute: null,
  budget: null as object | null,
};

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly idempotencyKey: string | undefined;
}

/** A network that gives one answer, whatever it is asked, and keeps what it was asked. */
async function network(answer: (path: string) => unknown) {
  const asked: Asked[] = [];
  const url = await serveHttp((request, response, text) => {
    const { method = "", url: path = "", headers } = request;
    const idempotencyKey = headers["idempotency-key"] as string | undefined;
    asked.push({ method, path, body: text === "" ? null : JSON.parse(text), idempotencyKey });
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer(path)));
  });
  return { asked, tollmill: (...args: string[]) => run(["--url", url, "--api-key", API_KEY, ...args]) };
}

const created = (changes: object = {}) => ({ ...KEY, key: TEXT, notice: null, ...changes });

describe("tollmill keys", () => {
  it("lists keys for people and for programs", async () => {
    const budget = {
      usd: "25.000000000",
      reset: "monthly",
      spent_usd: "1.500000000",
      held_usd: "0.000080000",
      reset_at: null,
    };
    const data = [
      KEY,
      { ...KEY, name: "old", revoked_at: "2026-11-23T00:00:00.000Z", models: ["a", "b"] },
      { ...KEY, name: "short", expires_at: "2020-01-01T00:00:00.000Z", budget },
      { ...KEY, name: "long", expires_at: "2999-01-01T00:00:00.000Z" },
    ];
    const { asked, tollmill } = await network(() => ({ data }));
    const { code, out } = await tollmill("keys");
    expect([code, asked[0]]).toMatchObject([EXIT.ok, { method: "GET", path: "/api/v1/keys" }]);
    expect(out).toMatch(new RegExp(`^${ID} +ci +active +inference read +all +none$`, "m"));
    expect(out).toMatch(/old +revoked 2026-11-23 .* a b +none$/m);
    expect(out).toMatch(
      /short +expired 2020-01-01T00:00 .* 1\.500000000 of 25\.000000000 monthly, 0\.000080000 held$/m,
    );
    expect(out).toMatch(/long +expires 2999-01-01T00:00/);
    const json = await tollmill("keys", "--json");
    expect(json.out.split("\n").map((line) => JSON.parse(line))).toEqual(data);
  });

  it("writes a new key's text to stdout alone, and what is said of it to stderr", async () => {
    const { asked, tollmill } = await network(() => created());
    const { code, out, err } = await tollmill("keys", "create", "ci");
    expect([code, out]).toEqual([EXIT.ok, TEXT]);
    expect(err).toContain(`Key ${ID} (ci) for inference, read.`);
    expect(err).not.toContain(TEXT);
    await tollmill("keys", "create", "ci");
    expect(asked.map(({ method, path, body }) => [method, path, body])).toEqual([
      ["POST", "/api/v1/keys", { name: "ci" }],
      ["POST", "/api/v1/keys", { name: "ci" }],
    ]);
    // Two keys of one name are two keys.
    expect(asked[0]?.idempotencyKey).not.toBe(asked[1]?.idempotencyKey);
    expect(JSON.parse((await tollmill("keys", "create", "ci", "--json")).out)).toEqual(created());
  });

  it("asks for what the flags name", async () => {
    const { asked, tollmill } = await network(() => created());
    const bounds = [
      "--scope",
      "read",
      "--scope",
      "manage",
      "--model",
      "maker/a",
      "--model",
      "b",
      "--expires",
      "2026-12-31",
    ];
    const budget = ["--budget", "2.5", "--reset", "weekly", "--requests-per-minute", "60", "--member", ID];
    expect(await tollmill("keys", "create", "ci", ...bounds, ...budget)).toMatchObject({ code: EXIT.ok });
    expect(asked[0]?.body).toEqual({
      name: "ci",
      scopes: ["read", "manage"],
      models: ["maker/a", "b"],
      budget: { usd: "2.5", reset: "weekly" },
      expires_at: "2026-12-31T00:00:00.000Z",
      member: ID,
      requests_per_minute: 60,
    });
  });

  it("fails without a text, and says why", async () => {
    const { tollmill } = await network(() => created({ key: null, notice: "Its text was shown then." }));
    expect(await tollmill("keys", "create", "ci")).toMatchObject({
      code: EXIT.refused,
      out: "",
      err: expect.stringContaining("Its text was shown then.") as unknown,
    });
  });

  it("rotates a key and revokes it", async () => {
    const until = "2026-11-23T12:00:00.000Z";
    const { asked, tollmill } = await network((path) =>
      path.endsWith("/rotate") ? created({ old_secret_until: until }) : { ...KEY, revoked_at: until },
    );
    const rotated = await tollmill("keys", "rotate", ID, "--overlap", "0");
    expect([rotated.code, rotated.out]).toEqual([EXIT.ok, TEXT]);
    expect(rotated.err).toContain(`the old one is taken until ${until}`);
    const revoked = await tollmill("keys", "revoke", ID);
    expect([revoked.code, revoked.out, revoked.err]).toEqual([EXIT.ok, "", `Key ${ID} (ci) is revoked for good.`]);
    expect(asked.map(({ method, path, body }) => [method, path, body])).toEqual([
      ["POST", `/api/v1/keys/${ID}/rotate`, { overlap_seconds: 0 }],
      ["DELETE", `/api/v1/keys/${ID}`, null],
    ]);
  });

  it.each([
    [["keys", "create", "ci", "--member", "Ada"], "22 letters and digits"],
    [["keys", "create"], "missing required argument"],
    [["keys", "create", "ci", "--scope", "all"], "inference, read, manage, transfer, supply"],
    [["keys", "create", "ci", "--model", "Not An Id"], "the id of a model"],
    [["keys", "create", "ci", "--budget", "0"], "an amount of USD above 0"],
    [["keys", "create", "ci", "--budget", "-1"], "an amount of USD above 0"],
    [["keys", "create", "ci", "--reset", "daily"], "give --budget too"],
    [["keys", "create", "ci", "--expires", "2026-02-31"], "a day or a time"],
    [["keys", "create", "ci", "--expires", "tomorrow"], "a day or a time"],
    [["keys", "rotate", "../keys"], "is no key id"],
    [["keys", "revoke", "laptop"], "is no key id"],
    [["keys", "delete", ID], "too many arguments"],
    [["usage", "--by", "hour"], "day, model, key, member, lane"],
    [["usage", "--from", "2026-11"], "a day or a time"],
  ])("%j gets a named error before anything is asked", async (args, words) => {
    const { code, err } = await run(["--url", NOWHERE, "--api-key", API_KEY, ...args]);
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining(words) as unknown]);
  });
});

describe("tollmill team", () => {
  const MEMBER = {
    id: ID,
    name: "Ada",
    role: "developer",
    joined_at: "2026-11-22T12:00:00.000Z",
    removed_at: null as string | null,
    keys: 2,
    month: { spent_usd: "1.500000000", held_usd: "0.000000000" },
  };
  const TOKEN = `tmi_${"B".repeat(71)}`;
  const INVITE = {
    id: ID,
    role: "developer",
    name: null,
    made_by: ID,
    created_at: "2026-11-22T12:00:00.000Z",
    expires_at: "2026-11-29T12:00:00.000Z",
    uses: 1,
    used: 0,
    revoked_at: null,
    token: TOKEN,
  };
  const joined = (changes: object = {}) => ({
    account: ID,
    member: MEMBER,
    api_key: TEXT,
    notice: null,
    joined: true,
    ...changes,
  });

  it("lists members for people and for programs", async () => {
    const data = [MEMBER, { ...MEMBER, name: "Eve", removed_at: "2026-11-23T00:00:00.000Z" }];
    const { asked, tollmill } = await network(() => ({ data }));
    const { code, out } = await tollmill("team", "list");
    expect([code, asked[0]]).toMatchObject([EXIT.ok, { method: "GET", path: "/api/v1/team" }]);
    expect(out).toMatch(/Ada +developer +active +2 +1\.500000000$/m);
    expect(out).toMatch(/Eve +developer +removed 2026-11-23/);
    const json = await tollmill("team", "list", "--json");
    expect(json.out.split("\n").map((line) => JSON.parse(line))).toEqual(data);
  });

  it("writes a token and a key to stdout alone", async () => {
    const { asked, tollmill } = await network((path) => (path.endsWith("/join") ? joined() : INVITE));
    const made = await tollmill("team", "invite", "developer", "--uses", "3", "--name", "Ada");
    expect([made.code, made.out]).toEqual([EXIT.ok, TOKEN]);
    const own = await tollmill("team", "join", TOKEN, "Ada", "--id", "one");
    expect([own.code, own.out]).toEqual([EXIT.ok, TEXT]);
    expect(made.err + own.err).not.toMatch(/tmi?_/);
    expect(asked.map(({ path, body }) => [path, body])).toEqual([
      ["/api/v1/team/invites", { role: "developer", name: "Ada", uses: 3 }],
      ["/api/v1/team/join", { token: TOKEN, name: "Ada" }],
    ]);
    expect(asked[1]?.idempotencyKey).toBe("one");
  });

  it("lists invites with what has become of them, and revokes one", async () => {
    const { token: _, ...open } = { ...INVITE, name: "Ada", expires_at: "2999-01-01T00:00:00.000Z" };
    const ended = [
      { ...open, used: 1 },
      { ...open, expires_at: "2020-01-01T00:00:00.000Z" },
      { ...open, used: 1, revoked_at: "2026-11-23T00:00:00.000Z" },
    ];
    const data = [open, ...ended];
    const revoked = { ...open, revoked_at: "2026-11-24T00:00:00.000Z" };
    const { asked, tollmill } = await network((path) => (path.endsWith("/invites") ? { data } : revoked));
    const { code, out } = await tollmill("team", "invites");
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(new RegExp(`^${ID} +developer +Ada +open until 2999-01-01T00:00 +0 of 1 +${ID}$`, "m"));
    expect(out).toMatch(/Ada +used +1 of 1/);
    expect(out).toMatch(/Ada +expired 2020-01-01T00:00 +0 of 1/);
    expect(out).toMatch(/Ada +revoked 2026-11-23 +1 of 1/);
    const json = await tollmill("team", "invites", "--json");
    expect(json.out.split("\n").map((line) => JSON.parse(line))).toEqual(data);
    expect(await tollmill("team", "invites", "revoke", ID)).toMatchObject({ code: EXIT.ok, out: "" });
    expect(JSON.parse((await tollmill("team", "invites", "revoke", ID, "--json")).out)).toEqual(revoked);
    expect(asked.at(-1)).toMatchObject({ method: "DELETE", path: `/api/v1/team/invites/${ID}` });
  });

  it("fails without a key, and says why", async () => {
    const { tollmill } = await network(() => joined({ api_key: null, notice: "It was revoked.", joined: false }));
    expect(await tollmill("team", "join", TOKEN, "Ada")).toMatchObject({
      code: EXIT.refused,
      out: "",
      err: expect.stringContaining("It was revoked.") as unknown,
    });
  });

  it("changes a role and removes a member", async () => {
    const { asked, tollmill } = await network(() => MEMBER);
    expect(await tollmill("team", "role", ID, "viewer")).toMatchObject({ code: EXIT.ok, out: "" });
    const removed = await tollmill("team", "remove", ID, "--json");
    expect(JSON.parse(removed.out)).toEqual(MEMBER);
    expect(asked.map(({ method, path, body }) => [method, path, body])).toEqual([
      ["PATCH", `/api/v1/team/members/${ID}`, { role: "viewer" }],
      ["DELETE", `/api/v1/team/members/${ID}`, null],
    ]);
  });

  it.each([
    [["team", "invite", "king"], "owner, billing, developer, viewer"],
    [["team", "role", ID, "king"], "owner, billing, developer, viewer"],
    [["team", "role", "../keys", "viewer"], "is no member id"],
    [["team", "remove", "Ada"], "is no member id"],
    [["team", "invites", "revoke", "../members"], "is no invite id"],
    [["team", "invite", "viewer", "--uses", "0"], "1"],
    [["team", "join", TOKEN], "missing required argument"],
  ])("%j gets a named error before anything is asked", async (args, words) => {
    const { code, err } = await run(["--url", NOWHERE, "--api-key", API_KEY, ...args]);
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining(words) as unknown]);
  });
});

describe("tollmill usage", () => {
  const row = (group: string, jobs: number, name: string | null = null) => ({
    group,
    name,
    jobs,
    completed: jobs - 1,
    cancelled: 1,
    failed: 0,
    unanswered: 0,
    prompt_tokens: 100 * jobs,
    completion_tokens: 1_000 * jobs,
    credits: `${82 * jobs}.500`,
    usd: "0.000082000",
  });
  const page = (by: string, data: object[], next: number | null) => ({
    by,
    from: "2026-10-24T00:00:00.000Z",
    to: null,
    data,
    next,
  });

  it("adds the pages of a long ledger together", async () => {
    const { asked, tollmill } = await network((path) =>
      path.includes("cursor=7")
        ? page("key", [row("b", 3, "ci"), row("a", 2, "app")], null)
        : page("key", [row("b", 1, "ci")], 7),
    );
    const { code, out } = await tollmill("usage", "--by", "key", "--to", "2026-12-01");
    expect(code).toBe(EXIT.ok);
    expect(out.split("\n").map((line) => line.trim().split(/ {2,}/))).toEqual([
      "key name jobs completed cancelled failed unanswered prompt completion credits usd".split(" "),
      "a app 2 1 1 0 0 200 2000 164.500 0.000082000".split(" "),
      "b ci 4 2 2 0 0 400 4000 329.000 0.000164000".split(" "),
      "total 6 3 3 0 0 600 6000 493.500 0.000246000".split(" "),
    ]);
    const queries = asked.map(({ path }) => Object.fromEntries(new URLSearchParams(path.split("?")[1])));
    const to = "2026-12-01T00:00:00.000Z";
    // The second page is one of the first, whatever the time has become.
    expect(queries).toEqual([
      { by: "key", to },
      { by: "key", to, from: "2026-10-24T00:00:00.000Z", cursor: "7" },
    ]);
    const json = await tollmill("usage", "--by", "key", "--json");
    expect(json.out.split("\n").map((line) => JSON.parse(line) as object)).toEqual([
      row("a", 2, "app"),
      { ...row("b", 4, "ci"), completed: 2, cancelled: 2, credits: "329.000", usd: "0.000164000" },
    ]);
  });

  it("needs no total for one row, and says when there is none", async () => {
    const one = await network(() => page("day", [row("2026-11-22", 1)], null));
    const { out } = await one.tollmill("usage");
    expect(out).toMatch(/^2026-11-22 +1 +0 +1 +0 +0 +100 +1000 +82\.500 +0\.000082000$/m);
    expect(out).not.toContain("total");
    const none = await network(() => page("day", [], null));
    expect(await none.tollmill("usage")).toMatchObject({ code: EXIT.ok, out: "", err: "No job ended in that time." });
  });
});

describe("tollmill service", () => {
  const met = {
    day: "2026-11-23",
    jobs: 25,
    p95_ms: 12,
    target_ms: 2_000,
    missed: false,
    extended_until: null,
    entry: null,
    evidence: { first: 2, last: 30, digest: "a".repeat(64) },
  };
  const missed = {
    ...met,
    day: "2026-11-24",
    p95_ms: 3_100,
    missed: true,
    extended_until: "2026-12-25T09:00:00.000Z",
    entry: 61,
  };
  const none = { ...met, day: "2026-11-25", jobs: 0, p95_ms: null, evidence: null };

  it("shows the days of all pages, and what missed ones gave back", async () => {
    const { asked, tollmill } = await network((path) =>
      path.includes("from=2026-11-24") ? { data: [missed, none], next: null } : { data: [met], next: "2026-11-24" },
    );
    const { code, out } = await tollmill("service", "--from", "2026-11-01");
    expect(code).toBe(EXIT.ok);
    expect(out.split("\n").map((line) => line.trim().split(/ {2,}/))).toEqual([
      ["day", "jobs", "p95 ms", "target ms", "packages last until (UTC)"],
      ["2026-11-23", "25", "12", "2000"],
      ["2026-11-24", "25", "3100", "2000", "missed", "2026-12-25 09:00:00 (entry 61)"],
      ["2026-11-25", "0", "2000"],
    ]);
    expect(asked.map(({ path }) => path)).toEqual([
      "/api/v1/service-levels?from=2026-11-01",
      "/api/v1/service-levels?from=2026-11-24",
    ]);
    const json = await tollmill("service", "--json", "--from", "2026-11-24");
    expect(json.out.split("\n").map((line) => JSON.parse(line) as unknown)).toEqual([missed, none]);
  });

  it("says so where there is none, and takes nothing for a day that is none", async () => {
    const { tollmill } = await network(() => ({ data: [], next: null }));
    expect(await tollmill("service")).toMatchObject({ code: EXIT.ok, out: "" });
    for (const day of ["2026-02-30", "2026-99-99", "today"]) {
      expect((await tollmill("service", "--from", day)).code).toBe(EXIT.usage);
    }
  });
});

it("tollmill ledger tells why a package lasts longer", async () => {
  const extended = [{ lot: "pack", until: Date.UTC(2026, 11, 25, 9), from: 0, nano_usd: 0 }];
  const body = JSON.stringify({ type: "extension", day: "2026-11-24", jobs: 25, p95_ms: 3_100, extended });
  const line = { seq: 61, at: "2026-11-25T00:15:00.000Z", type: "extension", body };
  const url = await serveHttp((_request, response) => void response.end(`${JSON.stringify(line)}\n`));
  const { out } = await run(["--url", url, "--api-key", API_KEY, "ledger"]);
  expect(out).toContain(
    "pack until 2026-12-25T09:00: on 2026-11-24 95 of 100 of 25 jobs in its slots waited up to 3100 ms",
  );
});
