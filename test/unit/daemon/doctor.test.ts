import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DaemonId } from "../../../core/ids.ts";
import { checkNode } from "../../../daemon/doctor/machine.ts";
import { EXIT } from "../../../daemon/failure.ts";
import { loadIdentity } from "../../../daemon/identity/key-file.ts";
import { tempFolder } from "./bench.ts";
import { chunk, openAiList, serveHttp, sse } from "./fake-engine.ts";
import { API_KEY, NOWHERE, run } from "./run-cli.ts";

interface Found {
  readonly check: string;
  readonly level: string;
  readonly what: string;
  readonly fix: string | null;
}

/** A network of one account and one model. A null makes it refuse. */
interface Known {
  readonly date?: string;
  readonly quantization?: string;
  readonly completion?: string;
  readonly daemons?: readonly object[] | null;
  readonly why?: object;
}

const MODEL = "qwen3-8b";

function networkOf({ date, quantization = "q8", completion = "0.00000032", daemons = [], why }: Known) {
  return serveHttp((request, response) => {
    const path = request.url ?? "";
    const headers = { "content-type": "application/json", ...(date === undefined ? {} : { date }) };
    const answer = (status: number, body: object) => response.writeHead(status, headers).end(JSON.stringify(body));
    if (path.startsWith("/v1/models")) {
      const pricing = { prompt: "0", completion, request: "0" };
      return answer(200, { data: [{ id: MODEL, quantization, context_length: 8_192, pricing }] });
    }
    if (path.includes("/why")) return answer(200, why ?? {});
    const own = daemons?.find((known) => path.includes((known as { id: string }).id));
    if (own !== undefined) return answer(200, own);
    if (daemons === null) return answer(403, { detail: "The key may not do this.", code: "forbidden" });
    return answer(200, { data: daemons, next: null });
  });
}

const engineOf = (...ids: readonly string[]) =>
  serveHttp((request, response) => {
    if (request.url === "/v1/models") {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(openAiList("me", ...ids)));
    } else if (request.url === "/v1/chat/completions") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(sse(chunk({ content: "word" }), chunk({}, {}, { finish_reason: "stop" }), "[DONE]"));
    } else response.writeHead(404).end();
  });

async function homeOf(): Promise<{ home: string; id: DaemonId }> {
  const home = tempFolder();
  return { home, id: (await loadIdentity(join(home, "daemon.pem"))).identity.id };
}

const enrolled = (id: string, changes: object = {}) => ({
  id,
  account: "0R7uXmQ2b1vXkYt3Zp9aLc",
  name: "attic",
  payout: "credits",
  tier: "desktop",
  created_at: "2026-11-25T12:00:00.000Z",
  connected: true,
  drained_at: null,
  state: "serving",
  connection: null,
  ...changes,
});

/** A connection of one that offers nothing now. */
const RESTING = {
  draining_by: [],
  withdrawn_by: ["schedule"],
  schedule: "sat-sun",
  on_ac_power: null,
  thermal: null,
  running: 0,
  models: [],
};
const SERVED = { quantization: "q8", context: 4_096, slots: 1, tokens_per_second: 50, loaded: true, running: 0 };
const STANDING = {
  score: 0.1,
  verified: 0,
  graduation: { verified: 0, of: 50 },
  declined: 0,
  flagged: 0,
  tokens_per_second: null,
  prefill_tokens_per_second: null,
};

const whyOf = (id: string, changes: object = {}) => {
  const since = "2026-11-25T12:00:00.000Z";
  const pool = { model: MODEL, region: "local", since, decisions: 10, chosen: 10, passed_over: [], ...changes };
  return { daemon: id, offered: [MODEL], pools: [pool] };
};

async function doctor(known: Known & { url?: string }, home: string, ...args: readonly string[]) {
  const url = known.url ?? (await networkOf(known));
  const engine = args.includes("--engine") ? [] : ["--engine", await engineOf(MODEL)];
  const flags = ["--json", "--url", url, "--api-key", API_KEY, "doctor", "--home", home, "--watts", "20"];
  const { code, out } = await run([...flags, "--quantization", "q8", ...engine, ...args]);
  const found = out.split("\n").map((line) => JSON.parse(line) as Found);
  const of = (check: string) => found.filter((finding) => finding.check === check);
  return { code, found, of };
}

describe("tollmill doctor", () => {
  it("finds nothing wrong with a daemon that gets jobs, and says so for people", async () => {
    const { home, id } = await homeOf();
    const known = { daemons: [enrolled(id)], why: whyOf(id) };
    const { code, found } = await doctor(known, home);
    expect(found.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(code).toBe(EXIT.ok);
    const checks = ["node", "home", "key_file", "claims", "network", "clock", "api_key", "engine", "models", "speed"];
    expect(found.map(({ check }) => check)).toEqual([...checks, "price", "enrolled", "connected", "state", "jobs"]);
    const common = ["--url", await networkOf(known), "--api-key", API_KEY, "doctor", "--home", home, "--watts", "20"];
    const text = await run([...common, "--quantization", "q8", "--engine", await engineOf(MODEL)]);
    expect(text.code).toBe(EXIT.ok);
    expect(text.out).toContain("✓ connected  It is connected.");
    expect(text.out).toMatch(/^✓ price +qwen3-8b: power costs \$[\d.]+ of \$0\.00032 for 1,000 tokens written\.$/m);
  });

  it("says what Node lacks", () => {
    expect(checkNode("22.17.0")).toMatchObject({ level: "error", exit: EXIT.usage });
    expect([checkNode("22.18.0"), checkNode("24.0.0")].map(({ level }) => level)).toEqual(["ok", "ok"]);
  });
});

describe("of the machine it finds", () => {
  it("a folder that is not there yet, and one that cannot be", async () => {
    const fresh = join(tempFolder(), "a", "b");
    const { of, code } = await doctor({}, fresh);
    expect(of("home")).toMatchObject([{ level: "ok", what: `${fresh} can be made.` }]);
    expect(of("key_file")).toMatchObject([{ level: "warning", fix: expect.stringContaining("tollmill daemon") }]);
    expect(code).toBe(EXIT.ok);
    const file = join(tempFolder(), "file");
    writeFileSync(file, "");
    const broken = await doctor({}, join(file, "home"));
    expect(broken.of("home")).toMatchObject([{ level: "error", fix: expect.stringContaining("--home") }]);
    expect(broken.code).toBe(EXIT.broken);
  });

  it("a key that others may read, and a file that is none, and changes neither", async () => {
    const { home, id } = await homeOf();
    chmodSync(join(home, "daemon.pem"), 0o644);
    const { of: before } = await doctor({ daemons: [enrolled(id)], why: whyOf(id) }, home);
    expect(before("key_file")).toMatchObject([{ level: "warning", fix: `chmod 600 ${join(home, "daemon.pem")}` }]);
    expect(statSync(join(home, "daemon.pem")).mode & 0o777).toBe(0o644);
    const other = tempFolder();
    writeFileSync(join(other, "daemon.pem"), "nonsense");
    const { of, code } = await doctor({}, other);
    expect(of("key_file")).toMatchObject([{ level: "error", what: expect.stringContaining("not a private key") }]);
    expect(code).toBe(EXIT.usage);
  });

  it("claims that wait", async () => {
    const { home, id } = await homeOf();
    mkdirSync(join(home, "claims"));
    for (const name of ["a-1.json", "b-1.json", ".probe"]) writeFileSync(join(home, "claims", name), "");
    const { of, code } = await doctor({ daemons: [enrolled(id)], why: whyOf(id) }, home);
    expect(of("claims")).toMatchObject([{ level: "warning", what: "2 claims wait for their receipts." }]);
    expect(code).toBe(EXIT.ok);
  });
});

describe("of the network it finds", () => {
  it("one that is not there, and looks at the engine all the same", async () => {
    const { home } = await homeOf();
    const { of, code } = await doctor({ url: NOWHERE }, home);
    expect(of("network")).toMatchObject([{ level: "error", what: expect.stringContaining(NOWHERE) }]);
    expect(of("engine")).toMatchObject([{ level: "ok" }]);
    expect(of("api_key")).toEqual([]);
    expect(code).toBe(EXIT.unreachable);
  });

  it.each([
    [3_600_000, "behind"],
    [-3_600_000, "ahead of"],
  ])("a clock that is %i ms off", async (ms, how) => {
    const { home, id } = await homeOf();
    const date = new Date(Date.now() + ms).toUTCString();
    const { of } = await doctor({ date, daemons: [enrolled(id)], why: whyOf(id) }, home);
    const what = expect.stringMatching(new RegExp(`^The clock is (3599|3600|3601) s ${how} the network's`));
    expect(of("clock")).toMatchObject([{ level: "warning", what }]);
  });

  it("a key that may not look after daemons, and that there is none", async () => {
    const { home } = await homeOf();
    const { of, code } = await doctor({ daemons: null }, home);
    expect(of("api_key")).toMatchObject([{ level: "error", what: "The key may not do this." }]);
    expect(code).toBe(EXIT.refused);
    const flags = ["--json", "--url", await networkOf({}), "doctor", "--home", home];
    const { out } = await run([...flags, "--engine", await engineOf(MODEL)]);
    expect(out).toContain("No account's key is given.");
  });
});

describe("of the engine it finds", () => {
  it("none", async () => {
    const { home } = await homeOf();
    const { of, code } = await doctor({}, home, "--engine", NOWHERE);
    expect(of("engine")).toMatchObject([{ level: "error", what: expect.stringContaining("is no engine") }]);
    expect(code).toBe(EXIT.unreachable);
  });

  it("models that the catalog does not have, or not so", async () => {
    const { home, id } = await homeOf();
    const known = { daemons: [enrolled(id)], why: whyOf(id) };
    const { of, code } = await doctor(known, home, "--engine", await engineOf("other", MODEL));
    expect(of("models")).toMatchObject([
      { level: "warning", what: "other is not in the network's catalog." },
      { level: "ok" },
    ]);
    expect(code).toBe(EXIT.ok);
    const wrong = await doctor({ ...known, quantization: "q4" }, home);
    expect(wrong.of("models")).toMatchObject([
      { level: "warning", what: `${MODEL} is in the catalog as q4, and this is q8.` },
      { level: "error", what: "The network's catalog has none of its models." },
    ]);
    expect(wrong.code).toBe(EXIT.checkFailed);
    const named = await doctor(known, home, "--serve", `nothing=${MODEL}`);
    expect(named.of("models")).toMatchObject([
      { level: "error", what: expect.stringContaining("has no model nothing") },
    ]);
  });

  it("a context that is shorter than the catalog's", async () => {
    const { home } = await homeOf();
    const { of } = await doctor({}, home, "--context", "512");
    const what = `${MODEL} (q8) is offered with a context of 512 tokens of 8192.`;
    expect(of("models")).toMatchObject([{ level: "warning", what }]);
  });

  it("power that costs more than the catalog pays, by how much, and at what it would pay", async () => {
    const { home, id } = await homeOf();
    const known = { daemons: [enrolled(id)], why: whyOf(id), completion: "0.000000000001" };
    const { of, code } = await doctor(known, home, "--usd-per-kwh", "0.3");
    expect(of("price")).toMatchObject([
      {
        level: "warning",
        what: expect.stringMatching(
          /power costs \$[\d.]+ more than the \$0\.000000001 that 1,000 tokens written pay\.$/,
        ),
        fix: expect.stringMatching(/\(now 20: --watts\), at .+ \(now 0\.3: --usd-per-kwh\), or .+ times as fast/),
      },
    ]);
    expect(code).toBe(EXIT.ok);
  });
});

describe("of its place in the network it finds", () => {
  it("that it is not enrolled", async () => {
    const { home, id } = await homeOf();
    const { of, code } = await doctor({ daemons: [enrolled("9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin")] }, home);
    expect(of("enrolled")).toMatchObject([{ level: "error", what: `The account has not enrolled ${id}.` }]);
    expect(code).toBe(EXIT.refused);
  });

  it("that it is not connected, or the network has none of its models", async () => {
    const { home, id } = await homeOf();
    const away = await doctor({ daemons: [enrolled(id, { connected: false })] }, home);
    expect(away.of("connected")).toMatchObject([{ level: "error" }]);
    expect(away.code).toBe(EXIT.checkFailed);
    const bare = { daemons: [enrolled(id)], why: { daemon: id, offered: [], pools: [] } };
    expect(await doctor(bare, home)).toMatchObject({ code: EXIT.checkFailed });
  });

  it("that it takes none now, and by whose will", async () => {
    const { home, id } = await homeOf();
    const why = whyOf(id);
    const drained = { state: "draining", drained_at: "2026-11-25T12:00:00.000Z" };
    const byAccount = await doctor({ daemons: [enrolled(id, drained)], why }, home);
    expect(byAccount.of("state")).toMatchObject([{ level: "error", fix: `tollmill daemons resume ${id}` }]);
    expect(byAccount.code).toBe(EXIT.checkFailed);
    const ending = await doctor({ daemons: [enrolled(id, { state: "draining" })], why }, home);
    expect(ending).toMatchObject({ code: EXIT.checkFailed });
    const resting = [enrolled(id, { state: "withdrawn", connection: RESTING })];
    const { of, code } = await doctor({ daemons: resting, why: { daemon: id, offered: [], pools: [] } }, home);
    expect(of("state")).toMatchObject([{ level: "warning", what: expect.stringContaining("schedule") }]);
    expect([code, of("jobs")]).toEqual([EXIT.ok, []]);
  });

  it("that it gets probes instead of jobs", async () => {
    const { home, id } = await homeOf();
    const [since, next_probe_at] = ["2026-11-25T12:00:00.000Z", "2026-11-25T13:00:00.000Z"];
    const quarantine = { why: "failed_verification", since, next_probe_at, passed: 1, of: 3 };
    const known = { ...STANDING, quarantine };
    const model = (name: string, standing: object | null) => ({ ...SERVED, id: name, standing });
    const connected = (...models: object[]) => ({
      daemons: [enrolled(id, { connection: { ...RESTING, withdrawn_by: [], models } })],
      why: whyOf(id),
    });
    const all = await doctor(connected(model(MODEL, known)), home);
    const what = `It gets probes and no jobs for ${MODEL} (failed_verification, 1 of 3 passed).`;
    expect(all.of("state")).toMatchObject([{ level: "error", what }]);
    expect(all.code).toBe(EXIT.checkFailed);
    const some = await doctor(connected(model(MODEL, known), model("other", null)), home);
    expect(some.of("state")).toMatchObject([{ level: "warning", what }]);
    expect(some.code).toBe(EXIT.ok);
  });

  it("why it got none of the jobs, and how many it got", async () => {
    const { home, id } = await homeOf();
    const floor = { reason: "floor", count: 8, over: null, meaning: "Too dear.", fix: "Draw less." };
    const full = { reason: "full", count: 2, over: null, meaning: "No slot.", fix: "More slots." };
    const none = { daemons: [enrolled(id)], why: whyOf(id, { chosen: 0, passed_over: [floor, full] }) };
    const { of, code } = await doctor(none, home);
    expect(of("jobs")).toEqual([
      {
        check: "jobs",
        level: "warning",
        what: `${MODEL}: chosen in 0 of 10 decisions looked into. Too dear. (floor, 8) No slot. (full, 2)`,
        fix: "Draw less. More slots.",
      },
    ]);
    expect(code).toBe(EXIT.ok);
    const quiet = { daemons: [enrolled(id)], why: whyOf(id, { decisions: 0, chosen: 0 }) };
    expect((await doctor(quiet, home)).of("jobs")).toMatchObject([
      { level: "ok", what: expect.stringContaining("nobody") },
    ]);
  });
});
