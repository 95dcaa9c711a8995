import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { formatCredits, type Millicredits } from "../../../core/units.ts";
import { EXIT } from "../../../daemon/failure.ts";
import type { LedgerEntry } from "../../../protocol/chain.ts";
import { entryOf, fullLedger, TestLedger } from "../../support/ledgers.ts";
import { signText } from "../../support/receipts.ts";
import { tempFolder } from "./bench.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, NOWHERE, run } from "./run-cli.ts";

/** What the network says: a test changes it between two runs, or while one is under way. */
interface Network {
  entries: readonly LedgerEntry[];
  /** The chains of the account's slices. */
  slices: Map<number, readonly LedgerEntry[]>;
  /** Millicredits of the balance. */
  sum: number;
  held: number;
  seed: string | undefined;
  /** The entry from which on the network is away. */
  awayFrom: number;
  /** Called when the balance is asked for, before it is answered. */
  onBalance: () => void;
  requests: string[];
}

let network: Network;
let url: string;
let file: string;
beforeEach(async () => {
  const { entries, sum } = fullLedger();
  network = {
    entries,
    slices: new Map(),
    sum,
    held: 0,
    seed: undefined,
    awayFrom: Number.POSITIVE_INFINITY,
    onBalance: () => {},
    requests: [],
  };
  file = join(tempFolder(), "ledger.ndjson");
  url = await serveHttp((request, response) => {
    const [path = "", query = ""] = (request.url ?? "").split("?");
    network.requests.push(request.url ?? "");
    const json = (value: unknown) =>
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    const { seed } = network;
    if (path === "/api/v1/ledger") {
      const params = new URLSearchParams(query);
      const [from, limit] = [Number(params.get("from")), Number(params.get("limit"))];
      if (from >= network.awayFrom) response.writeHead(502);
      const slice = Number(params.get("slice"));
      response.end(
        (slice === 0 ? network.entries : (network.slices.get(slice) ?? []))
          .filter(({ seq }) => seq >= from && seq < from + limit)
          .map(lineOf)
          .join(""),
      );
    } else if (path === "/api/v1/balance") {
      network.onBalance();
      json(balanceOf(network));
    } else if (path === "/api/v1/log/keys") {
      json({ keys: [{ key: signText("").key, algorithm: "ed25519", current: true }] });
    } else if (path.startsWith("/api/v1/receipts/")) {
      const job = path.split("/").at(-1) ?? "";
      const all = [...network.entries, ...[...network.slices.values()].flat()];
      const entry = all.find(({ type, body }) => type === "spent" && body.includes(job));
      if (entry !== undefined) json(signText(entry.body, seed));
      else response.writeHead(404).end(JSON.stringify({ detail: "There is no receipt.", code: "receipt_not_found" }));
    }
  });
});

const lineOf = (entry: LedgerEntry) => `${JSON.stringify(entry)}\n`;

function balanceOf({ sum, held }: Network) {
  return {
    available: formatCredits((sum - held) as Millicredits),
    held: formatCredits(held as Millicredits),
    minimum: "5.000",
    peg: { millicredits: 1, nano_usd: 1 },
    lots: [],
    open_jobs: 0,
    packages: null,
    allotment: null,
  };
}

interface Report {
  readonly ok: boolean;
  readonly first_bad_seq: number | null;
  readonly entries: number;
  readonly added: number;
  readonly mended: boolean;
  readonly checks: { check: string; ok: boolean; detail: string }[];
  readonly signed: { seq: number; key: string } | null;
}

async function mirror(...flags: string[]) {
  const args = ["--url", url, "--api-key", API_KEY, "--json", "ledger", "--mirror", file, ...flags];
  const { code, out, err } = await run(args);
  return { code, err, report: (out === "" ? null : JSON.parse(out)) as Report };
}

const text = () => readFileSync(file, "utf8");
const whole = () => network.entries.map(lineOf).join("");
/** The failed check of a report, by its name. */
const failed = ({ checks }: Report) => checks.find(({ ok }) => !ok)?.check;

describe("a mirror", () => {
  it("is made with the whole ledger, checked, and readable by its owner alone", async () => {
    const { code, report } = await mirror();
    expect(report).toMatchObject({ ok: true, first_bad_seq: null, entries: 10, added: 10, mended: false });
    expect(report.checks.map(({ check }) => check)).toEqual([
      "entries",
      "chain",
      "network",
      "receipts",
      "claims",
      "balance",
      "network_signature",
    ]);
    expect(report.signed).toMatchObject({ seq: 10, key: signText("").key });
    expect([code, text()]).toEqual([EXIT.ok, whole()]);
    expect(statSync(file).mode & 0o077).toBe(0);
  });

  it("keeps the chains of slices beside the account's, and holds all of them against the balance", async () => {
    const own = fullLedger().move("out", 2, 300_000);
    const slice = new TestLedger("ledger", 2).move("in", 2, 300_000).spend("topup");
    network.entries = own.entries;
    network.slices.set(2, slice.entries);
    network.sum = own.sum + slice.sum;
    const { code, report } = await mirror();
    expect([code, report.ok, report.entries]).toEqual([EXIT.ok, true, 13]);
    expect(readFileSync(`${file}.slice-2`, "utf8")).toBe(slice.entries.map(lineOf).join(""));
    expect(report.checks.filter(({ detail }) => detail.startsWith("slice 2: "))).toHaveLength(5);
    expect(report.checks.filter(({ check }) => check === "network_signature")).toHaveLength(2);

    slice.spend("topup");
    expect((await mirror()).report).toMatchObject({ ok: false });
    network.sum = own.sum + slice.sum;
    expect((await mirror()).report).toMatchObject({ ok: true, added: 0, entries: 14 });
    const [first, ...others] = slice.entries;
    const other = new TestLedger("other", 2).move("in", 2, 300_000);
    network.slices.set(2, [...other.entries, ...others]);
    const broken = await mirror("--recheck");
    expect([broken.code, first?.seq]).toEqual([EXIT.checkFailed, 1]);
    expect(broken.report.checks.find(({ ok }) => !ok)?.detail).toContain("of slice 2");
  });

  it("grows by what is new alone, and asks for no entry twice but the last", async () => {
    const { entries } = network;
    network.entries = entries.slice(0, 4);
    network.sum = new TestLedger().credit("bonus", 1_000_000).credit("topup", 500_000).spend("bonus").sum;
    expect((await mirror()).report).toMatchObject({ ok: true, added: 4 });
    network.entries = entries;
    network.sum = fullLedger().sum;
    network.requests = [];
    expect((await mirror()).report).toMatchObject({ ok: true, added: 6, entries: 10 });
    const asked = network.requests.filter((path) => path.includes("/ledger"));
    expect(asked.map((path) => /from=(\d+)/.exec(path)?.[1])).toEqual(["4", "5", "11"]);
    expect(text()).toBe(whole());
    const again = await mirror();
    expect(again.report).toMatchObject({ ok: true, added: 0 });
    expect(again.report.checks.find(({ check }) => check === "claims")?.detail).toContain("4 were checked");
  });

  it("of a ledger of several pages is the ledger", async () => {
    const ledger = new TestLedger();
    for (let i = 0; i < 2_000; i++) ledger.credit("bonus", 1);
    Object.assign(network, { entries: ledger.entries, sum: ledger.sum });
    const { report } = await mirror();
    expect(report).toMatchObject({ ok: true, added: 2_000, signed: null });
    expect(text()).toBe(whole());
  });

  it("keeps the pages that it had when the network went away, and goes on from there", async () => {
    const ledger = new TestLedger();
    for (let i = 0; i < 2_100; i++) ledger.credit("bonus", 1);
    Object.assign(network, { entries: ledger.entries, sum: ledger.sum, awayFrom: 1_001 });
    const { code, report } = await mirror();
    expect([code, report]).toEqual([EXIT.unreachable, null]);
    expect(text()).toBe(ledger.entries.slice(0, 1_000).map(lineOf).join(""));
    network.awayFrom = Number.POSITIVE_INFINITY;
    expect((await mirror()).report).toMatchObject({ ok: true, added: 1_100, entries: 2_100 });
    expect(text()).toBe(whole());
  });

  it("that several runs make at once is one ledger", async () => {
    const runs = await Promise.all([mirror(), mirror(), mirror()]);
    expect(runs.map(({ code }) => code)).toEqual([EXIT.ok, EXIT.ok, EXIT.ok]);
    expect(text()).toBe(whole());
  });

  it("of an account without entries is an empty file", async () => {
    Object.assign(network, { entries: [], sum: 0 });
    expect([(await mirror()).report, text()]).toMatchObject([{ ok: true, entries: 0, added: 0 }, ""]);
  });

  it("is said for people in a line for each check", async () => {
    const { code, out } = await run(["--url", url, "--api-key", API_KEY, "ledger", "--mirror", file]);
    expect(out).toMatch(/^✓ network signature by \S+ under entry 10, which vouches for every entry up to it$/m);
    expect(out).toMatch(/^✓ balance +the entries come to \d+\.\d{3} credits/m);
    expect([code, out.split("\n").at(-1)]).toEqual([EXIT.ok, `10 entries added; ${file} has 10, and they hold.`]);
  });
});

describe("a line that was cut", () => {
  it("anywhere is written again, and nothing before it is touched", async () => {
    await mirror();
    const full = text();
    const last = full.length - lineOf(entryOf(network.entries, 10)).length;
    for (const length of [last + 1, last + 300, full.length - 2, full.length - 1, 1, 80]) {
      writeFileSync(file, full.slice(0, length));
      expect((await mirror()).report).toMatchObject({ ok: true, mended: true, entries: 10 });
      expect(text()).toBe(full);
    }
  });

  it("that no mirror wrote is left as it is", async () => {
    const first = lineOf(entryOf(network.entries, 1));
    for (const left of ["dear diary", `${first}dear diary`, whole() + lineOf(entryOf(network.entries, 10)).trim()]) {
      writeFileSync(file, left);
      const { code, err, report } = await mirror();
      expect([code, report, text()]).toEqual([EXIT.usage, null, left]);
      expect(err).toContain("no beginning of entry");
    }
  });
});

describe("one byte that is changed", () => {
  it("anywhere is found, and named by its entry", async () => {
    await mirror();
    const full = readFileSync(file);
    let line = 1;
    const missed: number[] = [];
    for (let index = 0; index < full.length; index += 1) {
      if (index > 0 && full[index - 1] === 0x0a) line += 1;
      if (index % 13 !== 0) continue;
      const changed = Buffer.from(full);
      changed[index] = (full[index] ?? 0) ^ 1;
      writeFileSync(file, changed);
      const { code, report } = await mirror();
      const isFound = code === EXIT.checkFailed && report.first_bad_seq === line;
      // The time of a receipt's line stands in no hash; it is what --recheck is for.
      if (!isFound) missed.push(index);
      expect(readFileSync(file).equals(changed)).toBe(true);
    }
    for (const index of missed) {
      const before = full.subarray(0, index).toString();
      expect(before.slice(before.lastIndexOf("\n") + 1)).toMatch(/^\{"seq":\d,"at":"[^"]*$/);
      const changed = Buffer.from(full);
      changed[index] = (full[index] ?? 0) ^ 1;
      writeFileSync(file, changed);
      expect(await mirror("--recheck")).toMatchObject({ code: EXIT.checkFailed });
    }
    expect(missed.length).toBeLessThan(5);
  }, 60_000);
});

it("finds a changed time of a receipt's line where it is asked to hold every line against the network's", async () => {
  await mirror();
  const changed = text().replace(
    '{"seq":5,"at":"2026-11-22T12:00:05.000Z"',
    '{"seq":5,"at":"2026-11-22T12:00:05.001Z"',
  );
  expect(changed).not.toBe(text());
  writeFileSync(file, changed);
  expect((await mirror()).code).toBe(EXIT.ok);
  const { code, report } = await mirror("--recheck");
  expect([code, report.first_bad_seq, failed(report), text()]).toEqual([EXIT.checkFailed, 5, "network", changed]);
});

describe("a network that", () => {
  it("has another account behind the key is refused by name", async () => {
    await mirror();
    const before = text();
    const other = fullLedger("other");
    Object.assign(network, { entries: other.entries, sum: other.sum });
    const { code, err } = await mirror();
    expect([code, text()]).toEqual([EXIT.usage, before]);
    expect(err).toContain("is the mirror of another account");
  });

  it.each([2, 5, 10])("has rewritten entry %i is found out, and the mirror kept", async (seq) => {
    await mirror();
    const before = text();
    const other = new TestLedger().credit("bonus", 1_000_000);
    for (let i = 2; i < 12; i++) other.credit("topup", i >= seq ? 1 : 2);
    // Up to there it is the ledger that it was, and from there on another one.
    network.entries = [...network.entries.slice(0, seq - 1), ...other.entries.slice(seq - 1)];
    const { code, report } = await mirror();
    expect([code, report.first_bad_seq, failed(report), text()]).toEqual([EXIT.checkFailed, seq, "network", before]);
  });

  it("has lost its newest entries is found out", async () => {
    await mirror();
    network.entries = network.entries.slice(0, 6);
    const { code, report } = await mirror();
    expect([code, report.first_bad_seq, failed(report)]).toEqual([EXIT.checkFailed, 7, "network"]);
    expect(report.checks.at(-1)?.detail).toContain("ends before it");
  });

  it("gives an entry that does not hold gets none of it written, and keeps what was good before", async () => {
    const { entries } = network;
    network.entries = entries.map((entry) =>
      entry.seq === 6 ? { ...entry, body: entry.body.replace("70000", "70001") } : entry,
    );
    const { code, report } = await mirror();
    expect([code, report.first_bad_seq, failed(report), report.added]).toEqual([EXIT.checkFailed, 7, "chain", 6]);
    network.entries = entries;
    // The chain cannot tell a forged entry from a true one until the next: what was kept is held against the network.
    expect(await mirror()).toMatchObject({ code: EXIT.checkFailed, report: { first_bad_seq: 6, added: 0 } });
  });

  it("signs with another key, or not what it gave, is found out", async () => {
    network.seed = "77".repeat(32);
    const other = await mirror();
    expect([other.code, other.report.first_bad_seq, failed(other.report)]).toEqual([
      EXIT.checkFailed,
      10,
      "network_signature",
    ]);
    network.seed = undefined;
    expect((await mirror()).code).toBe(EXIT.ok);
    const pinned = await mirror("--network-key", signText("", "77".repeat(32)).key);
    expect([pinned.code, failed(pinned.report)]).toEqual([EXIT.checkFailed, "network_signature"]);
  });

  it("shows another balance than its entries come to is found out", async () => {
    network.held = 5_000;
    expect((await mirror()).report.ok).toBe(true);
    network.sum += 1;
    const { code, report } = await mirror();
    expect([code, report.first_bad_seq, failed(report)]).toEqual([EXIT.checkFailed, 10, "balance"]);
  });

  it("goes on while it is asked is held against the entry that the balance was read at", async () => {
    const { entries } = network;
    const early = new TestLedger().credit("bonus", 1_000_000).credit("topup", 500_000).spend("bonus");
    Object.assign(network, { entries: entries.slice(0, 3), sum: early.sum });
    network.onBalance = () => {
      network.entries = entries;
      // The balance of the fifth entry, while the ledger has nine when it is read again.
      network.sum = early.sum - 82_000;
    };
    const { code, report } = await mirror();
    expect([code, report.ok, report.entries, text()]).toEqual([EXIT.ok, true, 10, whole()]);
    // What came meanwhile is under the signature too.
    expect(report.signed?.seq).toBe(10);
  });

  it("is away leaves the mirror as it was", async () => {
    await mirror();
    const before = text();
    const { code } = await run(["--url", NOWHERE, "--api-key", API_KEY, "ledger", "--mirror", file]);
    expect([code, text()]).toEqual([EXIT.unreachable, before]);
  });
});

it("names a file that cannot be opened, and flags that do not go together", async () => {
  file = join(tempFolder(), "nowhere", "ledger.ndjson");
  const missing = await mirror();
  expect([missing.code, missing.err]).toEqual([EXIT.usage, expect.stringContaining("ENOENT")]);
  expect(existsSync(file)).toBe(false);
  file = join(tempFolder(), "folder");
  mkdirSync(file);
  expect((await mirror()).err).toContain("EISDIR");
  const alone = await run(["--url", NOWHERE, "ledger", "--recheck"]);
  expect([alone.code, alone.err]).toEqual([EXIT.usage, expect.stringContaining("go with --mirror")]);
  expect(await mirror("--limit", "5")).toMatchObject({ code: EXIT.usage });
});
