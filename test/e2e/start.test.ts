/** What the README shows: `npm start`, its curl line, its commands, and Ctrl-C. */

import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { Connection, Keypair, LAMPORTS_PER_SOL } from "@solana/web3.js";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { formatCredits, type Millicredits, parseCredits } from "../../core/units.ts";
import { ONE_MINT, TREASURY, USDC_MINT } from "../../localnet/chain/mints.ts";
import type { DevFile } from "../../localnet/network/state.ts";
import type { LedgerEntry } from "../../protocol/chain.ts";
import { cleanUp, descendantsOf, NodeProcess, temporaryFolder, userEnvironment } from "./support/children.ts";
import { CLI } from "./support/daemon.ts";
import { ANSWER, QUESTION, until } from "./support/network.ts";
import { ROOT } from "./support/server.ts";
import { chunksOf, eventsOf, textOf } from "./support/sse.ts";

const START = join(ROOT, "localnet", "start.ts");
/** The question of the printed curl line. */
const CURL_QUESTION = "What is a receipt?";
/** What the first job of a start cost, in millicredits: how fast this machine was measured to be decides what it asks. */
function firstCost(): Millicredits {
  const [, credits = ""] = /tokens, ([\d.]+) credits/.exec(network.stdout) ?? [];
  const cost = parseCredits(credits);
  if (cost === null) throw new Error("the first job's cost was not printed");
  return cost;
}

/** A user's folder: the network's state is where the commands look for it. */
let home: string;
let state: string;
let port: number;
let solanaPort: number;
let network: NodeProcess;
beforeAll(async () => {
  home = await temporaryFolder();
  state = join(home, ".tollmill");
  port = await freePort();
  solanaPort = await freePair();
  await mkdir(join(state, "state"), { recursive: true });
  await writeFile(join(state, "state", "of-an-earlier-run"), "");
  // A variable of the shell that happens to be called like a secret is not the network's.
  network = startNetwork(["--fresh"], { ADMIN_KEY: "the-key-of-something-else" });
  await network.waitFor("Ready", () => (network.stdout.includes("Ready after") ? true : undefined));
});
afterAll(cleanUp);

function startNetwork(flags: readonly string[] = [], env: Record<string, string> = {}): NodeProcess {
  return new NodeProcess([START, ...flags], {
    cwd: home,
    env: { TOLLMILL_PORT: String(port), TOLLMILL_SOLANA_PORT: String(solanaPort), TOLLMILL_STATE: state, ...env },
  });
}

async function freePort(wanted = 0): Promise<number> {
  const server = createServer().listen(wanted, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** The first of two ports in a row. */
async function freePair(): Promise<number> {
  for (;;) {
    const first = await freePort();
    const second = await freePort(first + 1).catch(() => null);
    if (second !== null) return first;
  }
}

async function dev(): Promise<DevFile> {
  return JSON.parse(await readFile(join(state, "dev.json"), "utf8")) as DevFile;
}

/** Runs a command of the package in the user's folder. */
async function tollmill(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...args], { cwd: home, env: userEnvironment() });
  return stdout;
}

/** The group of a match in what the network printed. */
function printed(pattern: RegExp): string {
  const found = pattern.exec(network.stdout)?.[1];
  if (found === undefined) throw new Error(`${pattern} is not in:\n${network.stdout}`);
  return found;
}

interface Finding {
  readonly check: string;
  readonly level: string;
  readonly what: string;
}

/** What `tollmill doctor --json` wrote. */
function findingsOf(lines: string): Finding[] {
  return lines
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Finding);
}

const millicredits = (text: string): number => parseCredits(text) ?? Number.NaN;

async function available(): Promise<number> {
  return millicredits((JSON.parse(await tollmill("balance", "--json")) as { available: string }).available);
}

describe("npm start", () => {
  it("runs a real job and shows its verified receipt, and that the model is a toy", () => {
    expect(network.stdout).toContain(`  you   ${QUESTION}\n  tiny-miller   ${ANSWER}\n`);
    expect(network.stdout).toMatch(/receipt {3}[0-9A-Za-z]{22} verified \(7 checks\)\n/);
    expect(network.stdout).toContain("tiny-miller is a toy");
    expect(network.stdout).toContain("npm start -- --model /path/to/model.gguf");
    expect(network.stdout).toMatch(/34 tokens, \d\.\d{3} credits/);
    expect(network.stdout).not.toContain("✗");
  });

  it("forgets the state of earlier runs when asked to", async () => {
    expect(await readdir(join(state, "state"))).not.toContain("of-an-earlier-run");
  });

  it("leaves a file for programs that only its owner can read", async () => {
    const file = join(state, "dev.json");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(state, "secrets.json"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(state, "edge.env"))).mode & 0o777).toBe(0o600);
    const account = expect.stringMatching(/^[0-9A-Za-z]{22}$/);
    const apiKey = expect.stringMatching(/^tm_[0-9A-Za-z]+$/);
    const { adminKey, secondAdminKey } = await dev();
    for (const key of [adminKey, secondAdminKey]) expect(key).toMatch(/^admin_[0-9a-f]{48}$/);
    expect(await dev()).toEqual({
      url: `http://127.0.0.1:${port}`,
      apiKey: printed(/key {8}(\S+)/),
      adminKey,
      secondAdminKey,
      consumer: { account, apiKey: (await dev()).apiKey },
      provider: { account, apiKey, daemon: expect.stringMatching(/^[1-9A-HJ-NP-Za-km-z]{43,44}$/) },
      operator: { adminKey },
      solana: {
        rpc: `http://127.0.0.1:${solanaPort}`,
        ws: `ws://127.0.0.1:${solanaPort + 1}`,
        usdcMint: USDC_MINT,
        stakeMint: ONE_MINT,
      },
    });
  });

  it("prints a curl line that streams an answer, whose receipt verifies", async () => {
    const line = printed(/( {2}curl -N [\s\S]*?\}')\n/);
    const text = await runCurl(line);
    expect(eventsOf(text).at(-1)).toBe("[DONE]");
    const chunks = chunksOf(text);
    expect(textOf(chunks).length).toBeGreaterThan(10);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason)).toContain("stop");

    const job = /"id":"chatcmpl-([0-9A-Za-z]{22})"/.exec(text)?.[1] ?? "";
    const checks = await tollmill("receipts", "verify", job);
    expect(checks).toContain(`The receipt of job ${job} is valid.`);
    expect(checks).not.toMatch(/^[–✗]/m);
    expect(checks).toMatch(/✓ chain +follows entry \d+/);
  });

  it("prints a command that verifies the first receipt", async () => {
    const args = printed(/npx tollmill (receipts verify \S+)/).split(" ");
    const checks = await tollmill(...args);
    for (const check of [
      "form",
      "canonical",
      "network signature",
      "claim signature",
      "price",
      "parts",
      "split",
      "chain",
    ]) {
      expect(checks).toMatch(new RegExp(`^✓ ${check} `, "m"));
    }
  });

  it("keeps a ledger that adds up to the balance", async () => {
    const lines = (await tollmill("ledger", "--json")).trim().split("\n");
    const entries = lines.map((line) => JSON.parse(line) as LedgerEntry);
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1));
    const charges = entries
      .filter(({ type }) => type === "spent")
      .map(({ body }) => (JSON.parse(body) as { charge: { millicredits: number } }).charge.millicredits);
    expect(charges[0]).toBe(firstCost());
    expect(await available()).toBe(1_200_000 - charges.reduce((sum, charge) => sum + charge, 0));
  });

  it("takes the network and the key from flags as well", async () => {
    const { url, provider } = await dev();
    const text = await tollmill("balance", "--json", "--url", url, "--api-key", provider.apiKey);
    expect(JSON.parse(text)).toMatchObject({ held: "0.000", open_jobs: 0 });
  });

  it("finds nothing wrong with its provider, and tells what is wrong with a daemon that is not there", async () => {
    const { provider } = await dev();
    const command = ["--json", "--api-key", provider.apiKey, "doctor", "--watts", "10", "--context", "512"];
    const toy = ["--model", join(ROOT, "localnet", "model", "tiny-miller.gguf"), "--gpu", "off", "--threads", "1"];
    const found = findingsOf(await tollmill(...command, "--home", join(state, "daemon"), ...toy));
    expect(found.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(found.at(-1)?.what).toMatch(/^tiny-miller: chosen in (\d+) of \1 decisions looked into\.$/);
    const why = JSON.parse(await tollmill("--json", "--api-key", provider.apiKey, "why")) as object;
    expect(why).toMatchObject({ daemon: provider.daemon, model: "tiny-miller", passed_over: [] });

    const strange = await temporaryFolder();
    const { privateKey } = generateKeyPairSync("ed25519");
    await writeFile(join(strange, "daemon.pem"), privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
    const broken = tollmill(...command, "--home", strange, "--engine", `http://127.0.0.1:${await freePort()}`);
    const { code, stdout } = await broken.then(
      () => Promise.reject(new Error("found nothing wrong")),
      (error: unknown) => error as { code: number; stdout: string },
    );
    const wrong = findingsOf(stdout).filter(({ level }) => level === "error");
    expect(wrong.map(({ check }) => check)).toEqual(["engine", "enrolled"]);
    expect(code).toBe(3);
  });

  it("lets its two operators take the first receipt back", async () => {
    const { consumer, secondAdminKey } = await dev();
    const [before, job] = [await available(), printed(/receipts verify (\S+)/)];
    const what = ["propose", consumer.account, job, "--id", "first", "--reason", "a test"];
    expect(await tollmill("admin", "reversals", ...what)).toContain(`${formatCredits(firstCost())} credits`);
    const approved = ["approve", "first", "--yes", "--key", secondAdminKey];
    expect(await tollmill("admin", "reversals", ...approved)).toMatch(/Reversed by entry \d+, approved by second/);
    expect(await available()).toBe(before + firstCost());
  });

  it("logs neither prompts nor answers nor keys", async () => {
    const { apiKey, adminKey, provider } = await dev();
    const logs = (await readdir(state)).filter((name) => name.endsWith(".log"));
    expect(logs.toSorted()).toEqual(["daemon.log", "edge.log", "solana.log"]);
    const text = (await Promise.all(logs.map((name) => readFile(join(state, name), "utf8")))).join("\n");
    // The logs do speak of the job.
    expect(text).toContain(printed(/receipts verify (\S+)/));
    for (const secret of [QUESTION, CURL_QUESTION, ANSWER, "open market", apiKey, adminKey, provider.apiKey]) {
      expect(text).not.toContain(secret);
    }
    const secrets = JSON.parse(await readFile(join(state, "secrets.json"), "utf8")) as Record<string, string>;
    for (const secret of Object.values(secrets)) expect(text).not.toContain(secret);
  });

  it("runs a Solana whose slots pass and whose faucet pays", async () => {
    const { solana } = await dev();
    if (solana === null) throw new Error("the network has no Solana");
    expect(network.stdout).toContain(`solana     ${solana.rpc}`);
    const client = new Connection(solana.rpc, "confirmed");
    const address = Keypair.generate().publicKey;
    const before = await client.getSlot();
    const gift = await tollmill("local", "faucet", address.toBase58(), "--sol", "1.5", "--usdc", "100");
    expect(gift).toContain(`${address.toBase58()} has 1.5 SOL, 100 USDC and 0 $ONE.`);
    const signature = /\/tx\/(\w+)/.exec(gift)?.[1] ?? "";
    await client.confirmTransaction({ signature, ...(await client.getLatestBlockhash()) });
    expect(await client.getBalance(address)).toBe(1.5 * LAMPORTS_PER_SOL);
    expect(await client.getSlot()).toBeGreaterThan(before);
  });

  it("takes a deposit that its faucet pays, and finds one without a reference by itself", async () => {
    const before = JSON.parse(await tollmill("balance", "--json")) as { available: string };
    const ended = JSON.parse(await tollmill("--json", "deposit", "2.50", "--pay", "--timeout", "60")) as {
      state: string;
      payments: { reason: string; amount_usdc: string }[];
    };
    expect(ended).toMatchObject({ state: "credited", payments: [{ reason: "exact", amount_usdc: "2.500000" }] });
    const after = JSON.parse(await tollmill("balance", "--json")) as { available: string };
    const credits = (text: string) => parseCredits(text) ?? Number.NaN;
    expect(credits(after.available) - credits(before.available)).toBe(2_500_000_000);
    await tollmill("local", "faucet", TREASURY, "--usdc", "3");
    const waiting = () => tollmill("--json", "admin", "deposits", "list", "--state", "suspense");
    // It is final after 32 slots, and cron is poked every five seconds.
    const found = async () => expect(await waiting()).toContain("no_reference");
    await vi.waitFor(found, { timeout: 40_000, interval: 1_000 });
    expect(JSON.parse(await waiting())).toMatchObject({ reason: "no_reference", amount_usdc: "3.000000" });
  });

  it("says what to do when a port of its Solana is taken", async () => {
    const second = startNetwork([], {
      TOLLMILL_PORT: String(await freePort()),
      TOLLMILL_SOLANA_PORT: String(solanaPort - 1),
    });
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stdout).toContain(`Port ${solanaPort} is taken. Choose another: TOLLMILL_SOLANA_PORT=`);
  });

  it("says what to do when its port is taken", async () => {
    const second = startNetwork();
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stdout).toContain(`Port ${port} is taken. Choose another: TOLLMILL_PORT=`);
  });

  it("stops whole on Ctrl-C, and goes on from there at the next start", async () => {
    const [before, balance] = [await dev(), await available()];
    await stopWithin(network, 8_000);
    await expect(fetch(before.url)).rejects.toThrow("fetch failed");

    network = startNetwork();
    await network.waitFor("Ready", () => (network.stdout.includes("Ready after") ? true : undefined));
    expect(await dev()).toEqual(before);
    expect(await available()).toBe(balance - firstCost());
    await stopWithin(network, 8_000);
  });

  it("stops whole on Ctrl-C while it is still coming up", async () => {
    const early = startNetwork();
    await early.waitFor("the edge", () => (early.stdout.includes("✓ database") ? true : undefined));
    await until(() => descendantsOf(early.child.pid).length > 0, "the edge's process");
    await stopWithin(early, 8_000);
    expect(early.stdout).not.toContain("Ready");
  });
});

describe("npm start with something wrong", () => {
  it.for([
    [["--nonsense"], {}, "unknown option '--nonsense'"],
    [["--serve", "nonsense"], {}, "It must be NAME=ID."],
    [["--faults", "nonsense"], {}, "nonsense is no fault. Write drop, fail,"],
    [["--model", "/no/such.gguf"], {}, "there is no such file. Give the path of a GGUF model."],
    [[], { TOLLMILL_SOLANA_PORT: "65535" }, "TOLLMILL_SOLANA_PORT must be a port from 1 to 65534, not 65535."],
    [[], { TOLLMILL_PORT: "8900", TOLLMILL_SOLANA_PORT: "8899" }, "Port 8900 is wanted twice"],
    [[], { TOLLMILL_PORT: "http" }, "TOLLMILL_PORT must be a port from 1 to 65535, not http."],
  ] as const)("says so: %j %j", async ([flags, env, message]) => {
    const failed = startNetwork(flags, { TOLLMILL_STATE: join(home, "unused"), ...env });
    const { code } = await failed.exited;
    expect(code).toBe(1);
    expect(failed.stdout + failed.stderr).toContain(message);
    expect(failed.stdout + failed.stderr).not.toMatch(/Command failed| at .*\.ts:\d+/);
  });
});

/** Through the shell where there is a curl, else by what the line says. */
async function runCurl(line: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)("sh", ["-c", line]);
    return stdout;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 127) throw error;
  }
  const [url = "", body = ""] = [/http:\S+/.exec(line)?.[0], /-d '(.*)'/.exec(line)?.[1]];
  const headers = { authorization: `Bearer ${(await dev()).apiKey}`, "content-type": "application/json" };
  return await (await fetch(url, { method: "POST", headers, body })).text();
}

/** Sends what Ctrl-C sends, and waits for a clean end of the process and of all that it started. */
async function stopWithin(process: NodeProcess, patienceMs: number): Promise<void> {
  const started = descendantsOf(process.child.pid);
  expect(started.length).toBeGreaterThan(0);
  const at = Date.now();
  process.signal("SIGINT");
  expect(await process.exited).toEqual({ code: 0, signal: null });
  expect(Date.now() - at).toBeLessThan(patienceMs);
  await until(() => started.every((pid) => !isAlive(pid)), "the end of every process");
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
