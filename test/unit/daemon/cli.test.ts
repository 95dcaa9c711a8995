import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hashText } from "../../../core/receipt/canonical.ts";
import { EXIT } from "../../../daemon/failure.ts";
import type { SignedReceipt } from "../../../protocol/receipt.ts";
import { bodyOf, receiptOf, signText } from "../../support/receipts.ts";
import { tempFolder } from "./bench.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, NOWHERE, run } from "./run-cli.ts";

function receiptFile(receipt: unknown): string {
  const path = join(tempFolder(), "receipt.json");
  writeFileSync(path, typeof receipt === "string" ? receipt : JSON.stringify(receipt));
  return path;
}

const good = receiptOf();
const body = bodyOf();

/** A network with one account, whose entries are a credit and then the receipt. */
async function network(receipt: SignedReceipt, entries: readonly string[], keys = [good.key]) {
  const seen: { path: string; authorization: string | undefined }[] = [];
  const url = await serveHttp((request, response) => {
    const path = request.url ?? "";
    seen.push({ path, authorization: request.headers.authorization });
    const json = (value: unknown) =>
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (path === "/api/v1/log/keys") json({ keys: keys.map((key) => ({ key, algorithm: "ed25519", current: true })) });
    else if (path === `/api/v1/receipts/${body.job}`) json(receipt);
    else if (path.startsWith("/api/v1/ledger?")) {
      const query = new URLSearchParams(path.split("?")[1]);
      const from = Number(query.get("from"));
      const lines = entries
        .map((text, index) => ({ seq: index + 1, at: "2026-11-22T12:00:00.000Z", type: "spent", body: text }))
        .filter(({ seq }) => seq >= from)
        .slice(0, Number(query.get("limit")));
      response
        .writeHead(200, { "content-type": "application/x-ndjson" })
        .end(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    } else {
      const problem = {
        type: "/docs/errors#x",
        title: "t",
        status: 404,
        detail: "There is no receipt for that job.",
        code: "receipt_not_found",
      };
      response.writeHead(404, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
    }
  });
  return { url, seen };
}

const chained = (previousText: string): SignedReceipt => receiptOf({ link: { seq: 1, head: hashText(previousText) } });

describe("tollmill receipts verify", () => {
  it("shows a line for each check of a good receipt", async () => {
    const { code, out } = await run(["receipts", "verify", receiptFile(good), "--network-key", good.key, "--offline"]);
    expect(code).toBe(EXIT.ok);
    for (const name of [
      "form",
      "canonical",
      "network signature",
      "claim signature",
      "price",
      "parts",
      "split",
      "chain",
    ]) {
      expect(out).toMatch(new RegExp(`^✓ ${name} `, "m"));
    }
    expect(out).toContain(`The receipt of job ${body.job} is valid.`);
  });

  it("reads standard input, and says what it is worth without a key to trust", async () => {
    const { code, out } = await run(["receipts", "verify", "-", "--offline"], { stdin: JSON.stringify(good) });
    expect(code).toBe(EXIT.ok);
    expect(out).toContain("the key is the receipt's own");
  });

  it("writes NDJSON on demand", async () => {
    const { out } = await run(["--json", "receipts", "verify", receiptFile(good), "--offline"]);
    const lines = out.split("\n").map((line) => JSON.parse(line) as { check: string; ok: boolean });
    expect(lines.map(({ check }) => check)).toContain("network_signature");
    expect(lines.every(({ ok }) => ok)).toBe(true);
  });

  const flip = (text: string, index: number) =>
    text.slice(0, index) + (text[index] === "A" ? "B" : "A") + text.slice(index + 1);
  it.each([
    ["network signature", { ...good, signature: flip(good.signature, 10) }],
    ["network signature", { ...good, signature: "no signature at all" }],
    ["canonical", signText(` ${good.body}`)],
    ["form", signText(good.body.replace('"v":', '"w":1,"v":'))],
    [
      // Signed again after the change: only the daemon's own word is broken.
      "claim signature",
      signText(good.body.replace(/"signature":"./, (start) => flip(start, start.length - 1))),
    ],
    [
      "price",
      signText(
        good.body.replace(
          /"charge":\{"millicredits":(\d+),"nano_usd":(\d+)/,
          '"charge":{"millicredits":$1,"nano_usd":1',
        ),
      ),
    ],
    ["split", signText(good.body.replace(/"role":"provider","to":"\w+"/, '"role":"provider","to":"somebody"'))],
  ])("fails at %s", async (name, receipt) => {
    const { code, out } = await run([
      "receipts",
      "verify",
      receiptFile(receipt),
      "--network-key",
      good.key,
      "--offline",
    ]);
    expect(code).toBe(EXIT.checkFailed);
    expect(out).toMatch(new RegExp(`^✗ ${name}`, "m"));
    expect(out).toContain("NOT valid");
  });

  it("fails for a receipt that another network signed", async () => {
    const other = receiptOf({ seed: "77".repeat(32) });
    const { url } = await network(good, []);
    const { code, out } = await run(["--url", url, "receipts", "verify", receiptFile(other)]);
    expect(code).toBe(EXIT.checkFailed);
    expect(out).toContain("but the network's key is");
  });

  it("fetches a job's receipt, the network's key and the entry before, and checks the chain", async () => {
    const before = '{"seq":1,"type":"bonus"}';
    const receipt = chained(before);
    const { url, seen } = await network(receipt, [before, receipt.body]);
    const args = ["--url", url, "--api-key", API_KEY, "receipts", "verify", body.job];
    const { code, out } = await run(args);
    expect(out).toMatch(/✓ chain +follows entry 1/);
    expect(code).toBe(EXIT.ok);
    expect(seen.every(({ authorization }) => authorization === `Bearer ${API_KEY}`)).toBe(true);
  });

  it("fails when the entry before is another one", async () => {
    const receipt = chained("what was there");
    const { url } = await network(receipt, ["what is there now", receipt.body]);
    const { code, out } = await run(["--url", url, "--api-key", API_KEY, "receipts", "verify", receiptFile(receipt)]);
    expect(code).toBe(EXIT.checkFailed);
    expect(out).toMatch(/✗ chain/);
  });

  it("says plainly that the chain was not checked, and why", async () => {
    const receipt = chained("before");
    const path = receiptFile(receipt);
    const offline = await run(["receipts", "verify", path, "--offline"]);
    expect(offline.out).toMatch(/– chain +not checked: this needs the network/);
    expect(offline.code).toBe(EXIT.ok);
    const keyless = await run(["--url", (await network(receipt, [])).url, "receipts", "verify", path]);
    expect(keyless.out).toMatch(/– chain +not checked: this needs the account's API key/);
    const stranger = await network(receipt, ["a", "b"]);
    const other = await run(["--url", stranger.url, "--api-key", API_KEY, "receipts", "verify", path]);
    expect(other.out).toMatch(/– chain +not checked: entry 2 of this API key's account is not this receipt/);
    const away = await run(["--url", NOWHERE, "receipts", "verify", path]);
    expect(away.code).toBe(EXIT.ok);
    expect(away.out).toContain("did not tell its keys");
  });

  it("ends with 2 for bad input, 3 for a network that is away, 4 for one that says no", async () => {
    for (const [source, words] of [
      [receiptFile("{"), "is no receipt. Give JSON of the form"],
      [receiptFile('{"body":1}'), "is no receipt"],
      [join(tempFolder(), "missing.json"), "cannot be read (ENOENT), and it is no job id"],
    ] as const) {
      const { code, err } = await run(["receipts", "verify", source, "--offline"]);
      expect(code).toBe(EXIT.usage);
      expect(err).toContain(words);
    }
    const badKey = await run(["receipts", "verify", receiptFile(good), "--network-key", "abc"]);
    expect([badKey.code, badKey.err]).toEqual([EXIT.usage, expect.stringContaining("32 bytes in base64url")]);
    const both = await run(["receipts", "verify", body.job, "--offline"]);
    expect(both.code).toBe(EXIT.usage);
    const away = await run(["--url", NOWHERE, "receipts", "verify", body.job]);
    expect([away.code, away.err]).toEqual([
      EXIT.unreachable,
      expect.stringContaining("cannot be reached (ECONNREFUSED)"),
    ]);
    const { url } = await network(good, []);
    const unknown = await run(["--url", url, "receipts", "verify", `0${body.job.slice(0, -1)}`]);
    expect([unknown.code, unknown.err]).toEqual([
      EXIT.refused,
      expect.stringContaining("There is no receipt for that job."),
    ]);
  });
});

describe("tollmill send", () => {
  const to = "0R7uXmQ2b1vXkYt3Zp9aLc";

  it("says what it would do, and does it with --yes alone", async () => {
    const bodies: string[] = [];
    const url = await serveHttp((_request, response, text) => {
      bodies.push(text);
      const sent = { ...(JSON.parse(text) as object), amount: "2.500", seq: 7, state: "sent" };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(sent));
    });
    const key = ["--url", url, "--api-key", API_KEY];
    const asked = await run([...key, "send", to, "2.5"]);
    expect([asked.code, asked.out, bodies]).toEqual([EXIT.ok, "", []]);
    const [, id = ""] = /--id (\S+) --yes/.exec(asked.err) ?? [];
    const sent = await run([...key, "send", to, "2.5", "--id", id, "--memo", "hi", "--yes"]);
    expect(JSON.parse(bodies[0] ?? "")).toEqual({ id, to, amount: "2.5", memo: "hi" });
    expect(sent.out).toContain(`2.500 credits to ${to}: sent (entry 7`);
    expect(sent.err).toContain("the network brings it");
  });

  it.each([
    [["send", "nobody", "1", "--yes"], "no account id"],
    [["send", to, "0", "--yes"], "no amount"],
    [["send", to, "1.0001", "--yes"], "no amount"],
    [["send", to], "missing required argument"],
  ])("refuses %j before anything is sent", async (args, word) => {
    const { code, err } = await run(["--url", NOWHERE, ...args]);
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining(word) as unknown]);
  });
});

describe("tollmill balance and ledger", () => {
  const lot = { id: "starter", kind: "bonus", backing: "none", available: "9.500", held: "0.500", expires_at: null };
  const shown = {
    available: "9.500",
    held: "0.500",
    minimum: "5.000",
    peg: { millicredits: 1, nano_usd: 1 },
    lots: [lot],
    open_jobs: 1,
    packages: null,
    allotment: null,
  };

  it("shows a balance for people and for programs, with the local network's url and key", async () => {
    const keys: (string | undefined)[] = [];
    const url = await serveHttp((request, response) => {
      keys.push(request.headers.authorization);
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(shown));
    });
    const folder = tempFolder();
    mkdirSync(join(folder, ".tollmill"));
    writeFileSync(join(folder, ".tollmill", "dev.json"), JSON.stringify({ url, apiKey: API_KEY, more: 1 }));
    const people = await run(["balance"], { folder });
    expect(people.out).toContain("9.500 credits available, 0.500 held by 1 open job\n");
    expect(people.out).toMatch(/bonus +none +9\.500 +0\.500 +never/);
    expect(JSON.parse((await run(["balance", "--json"], { folder })).out)).toEqual(shown);
    expect(keys).toEqual([`Bearer ${API_KEY}`, `Bearer ${API_KEY}`]);
    // A key goes to the network that it is for, and to no other one.
    const elsewhere = await serveHttp((request, response) => {
      keys.push(request.headers.authorization);
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(shown));
    });
    await run(["balance", "--url", elsewhere], { folder });
    await run(["balance"], { folder, env: { TOLLMILL_URL: elsewhere, TOLLMILL_API_KEY: `${API_KEY}x` } });
    expect(keys.slice(2)).toEqual([undefined, `Bearer ${API_KEY}x`]);
  });

  it("shows what is left of today's allotment, and until when", async () => {
    const day = { granted: "50.000", left: "12.500", refresh_at: "2026-11-26T00:00:00.000Z" };
    const allotment = { ...day, slots: 2, in_use: 1 };
    const url = await serveHttp((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ ...shown, allotment }));
    });
    const { out } = await run(["balance", "--url", url, "--api-key", API_KEY]);
    expect(out).toContain("12.500 of today's allotment of 50.000 credits are left until 2026-11-26T00:00Z.\n");
    expect(out).toContain("Its stake carries 2 jobs at once, 1 of them is open.\n");
    expect(out).not.toContain("Packages");
  });

  it("shows the slots that packages reserve, and how many are in use", async () => {
    const packages = { slots: 10, in_use: 3 };
    const url = await serveHttp((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ ...shown, packages }));
    });
    const { out } = await run(["balance", "--url", url, "--api-key", API_KEY]);
    expect(out).toContain("Packages reserve 10 slots, 3 in use.\n");
  });

  it("shows a ledger as a table and as NDJSON", async () => {
    const { url } = await network(good, ['{"memo":"starter balance"}', good.body, "{}"]);
    const table = await run(["ledger", "--url", url, "--api-key", API_KEY, "--limit", "2"]);
    expect(table.out).toMatch(/1 +2026-11-22 12:00:00 +spent +starter balance/);
    expect(table.out).toMatch(new RegExp(`2 .* 82\\.000 +${body.job} maker/eight`));
    expect(table.err).toContain("More: tollmill ledger --from 3");
    const json = await run(["ledger", "--url", url, "--api-key", API_KEY, "--json", "--from", "2"]);
    expect(json.out.split("\n").map((line) => (JSON.parse(line) as { seq: number }).seq)).toEqual([2, 3]);
    expect((await run(["ledger", "--url", url, "--from", "9"])).err).toContain("no entries from 9 on");
  });

  it("says what the network says no to, and what an answer of something else is", async () => {
    const { url } = await network(good, []);
    const refused = await run(["balance", "--url", url]);
    expect([refused.code, refused.err]).toEqual([
      EXIT.refused,
      expect.stringContaining("There is no receipt for that job."),
    ]);
    const page = await serveHttp((_request, response) => response.writeHead(200).end("<html>"));
    const odd = await run(["balance", "--url", page]);
    expect([odd.code, odd.err]).toEqual([EXIT.unreachable, expect.stringContaining("unknown form")]);
    const down = await serveHttp((_request, response) => response.writeHead(502).end("bad gateway"));
    expect((await run(["balance", "--url", down])).code).toBe(EXIT.unreachable);
  });
});

describe("flags", () => {
  it.each([
    [["--url", "ftp://x", "balance"], "this is no http or https URL"],
    [["--api-key", "sk-123", "balance"], "an API key begins with tm_"],
    [["ledger", "--from", "0"], "a whole number from 1"],
    [["ledger", "--limit", "9999"], "a whole number from 1 to 1000"],
    [["daemon", "--slots", "many"], "a whole number from 1 to 1024"],
    [["daemon", "--serve", "llama"], "ENGINE_NAME=CATALOG_ID"],
    [["daemon", "--serve", "llama=Not An Id"], "ENGINE_NAME=CATALOG_ID"],
    [["daemon", "--feature", "magic"], "It must be one of: frequency_penalty"],
    [["daemon", "--usd-per-kwh", "-1"], "a number from 0 to 10"],
    [["daemon", "--watts", "none"], "a number from 0.1"],
    [["daemon", "--tier", "mainframe"], "backbone, desktop, tablet, phone"],
    [["daemon", "--accepts", "doge"], "usdc, any"],
    [["daemon", "--network", "lab"], "an id of 22 letters and digits"],
    [["networks", "create", "Lab", "--rate", "m=0.1"], "MODEL=PROMPT/COMPLETION"],
    [["networks", "rates", "0R7uXmQ2b1vXkYt3Zp9aLc"], "Nothing would change"],
    [["networks", "show", "../keys"], "is no network's id"],
    [["networks", "remove", "0R7uXmQ2b1vXkYt3Zp9aLc", "Ada"], "is no member's id"],
    [["daemon", "--engine", "localhost:8080"], "an http or https URL"],
    [["daemon", "--model", "a.gguf", "--engine", "http://127.0.0.1:1"], "not both"],
    [["daemon", "--model", "/nowhere/a.gguf"], "there is no such file"],
    [["daemon", "--nonsense"], "unknown option '--nonsense'"],
    [["nonsense"], "unknown command"],
    [["receipts", "verify"], "missing required argument"],
  ])("%j gets a named error", async (args, words) => {
    const { code, err } = await run([...args, ...(args.includes("daemon") ? ["--home", tempFolder()] : [])]);
    expect(err).toContain(words);
    expect(code).toBe(EXIT.usage);
  });

  it("of a broken dev.json and a broken key file are said by their paths", async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, ".tollmill"));
    writeFileSync(join(folder, ".tollmill", "dev.json"), "{");
    expect(await run(["balance"], { folder })).toMatchObject({
      code: EXIT.usage,
      err: expect.stringContaining("dev.json") as unknown,
    });
    const home = tempFolder();
    writeFileSync(join(home, "daemon.pem"), "not a key");
    const broken = await run(["daemon", "--home", home]);
    expect(broken).toMatchObject({
      code: EXIT.usage,
      err: expect.stringContaining("is not a private key in PEM") as unknown,
    });
  });

  it.each([
    [["balance", "--json", "--url", "ftp://x"], EXIT.usage, "this is no http or https URL"],
    [["--json", "balance", "--url", NOWHERE], EXIT.unreachable, "cannot be reached (ECONNREFUSED)"],
    [["--json", "--nonsense"], EXIT.usage, "unknown option '--nonsense' (tollmill --help shows what there is)"],
    [["ledger", "--limit", "9999", "--json"], EXIT.usage, "a whole number from 1 to 1000"],
    [["--json", "ballance"], EXIT.usage, "Did you mean balance?"],
    [["--json"], EXIT.usage, "A command is missing. (tollmill --help shows what there is)"],
    [["--json", "receipts"], EXIT.usage, "A command is missing."],
  ])("of %j are said in one line of JSON", async (args, exit, words) => {
    const { code, out, err } = await run(args);
    expect(code).toBe(exit);
    expect(out).toBe("");
    expect(err).not.toContain("\n");
    expect(JSON.parse(err)).toEqual({
      error: { message: expect.stringContaining(words) as unknown, exit_code: exit },
    });
  });

  it("--json behind -- is an argument", async () => {
    const { err } = await run(["receipts", "verify", "--offline", "--", "--json"]);
    expect(err).toMatch(/^error: --json cannot be read/);
  });

  it("--version prints the package's", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    expect(await run(["--version"])).toEqual({ code: EXIT.ok, out: version, err: "" });
  });

  it("help is no error", async () => {
    const { code, out } = await run(["--help"]);
    expect(code).toBe(EXIT.ok);
    expect(out).toContain("Exit codes: 0 done");
  });
});
